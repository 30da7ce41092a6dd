/** A Uint32Array that grows. */
export class IdBuffer {
  ids: Uint32Array;
  length = 0;

  constructor(capacity: number) {
    this.ids = new Uint32Array(Math.max(capacity, 16));
  }

  push(id: number): void {
    this.reserve(1);
    this.ids[this.length++] = id;
  }

  append(ids: Int32Array): void {
    this.reserve(ids.length);
    for (let i = 0; i < ids.length; i++) this.ids[this.length++] = ids[i]!;
  }

  /** Makes room for `count` more ids; `ids` may be another array afterwards. */
  reserve(count: number): void {
    if (this.length + count <= this.ids.length) return;
    const grown = new Uint32Array(Math.max(this.length + count, this.ids.length + (this.ids.length >> 1)));
    grown.set(this.ids.subarray(0, this.length));
    this.ids = grown;
  }

  finish(): Uint32Array {
    return this.ids.slice(0, this.length);
  }
}

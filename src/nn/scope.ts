/**
 * Where layers declare their parameters. A scope is a place in the model's tree of names: a layer that is made in the scope
 * `transformer.h.0.attn.c_attn` and declares `weight` owns `transformer.h.0.attn.c_attn.weight`. What all layers declare, in that
 * order, is the model's table of parameters: names, shapes, initial values, and how matrix products read them.
 */
import type { Initializer, ParameterSpec } from '../graph/parameters.ts';

/** A parameter without its name. */
export type Declaration = Omit<ParameterSpec, 'name'>;

export class Scope {
  /** Name of this place, '' at the root. */
  readonly path: string;
  readonly #declared: ParameterSpec[];

  /** @param path name of the place. Default the root, where nothing is declared yet */
  constructor(path = '', declared: ParameterSpec[] = []) {
    this.path = path;
    this.#declared = declared;
  }

  /** The place below this one; `name` may have several parts: `h.0`. */
  at(name: string): Scope {
    return new Scope(this.#nameOf(name), this.#declared);
  }

  /**
   * Declares a parameter of this place.
   * @returns its whole name, by which graphs find it
   */
  declare(name: string, declaration: Declaration): string {
    const whole = this.#nameOf(name);
    this.#declared.push({ name: whole, ...declaration });
    return whole;
  }

  /** All that was declared in this tree so far, in order. */
  get declared(): readonly ParameterSpec[] {
    return this.#declared;
  }

  #nameOf(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }
}

/** Starts from a normal distribution around 0. */
export function normal(std: number): Initializer {
  return { kind: 'normal', std };
}

/** Starts from one value everywhere. */
export function constant(value: number): Initializer {
  return { kind: 'constant', value };
}

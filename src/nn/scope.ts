/**
 * Where layers declare their parameters. A scope is a place in the model's tree of names: a layer that is made in the scope
 * `transformer.h.0.attn.c_attn` and declares `weight` owns `transformer.h.0.attn.c_attn.weight`. What all layers declare, in that
 * order, is the model's table of parameters: names, shapes, initial values, and how matrix products read them.
 */
import type { Initializer, ParameterSpec } from '../graph/parameters.ts';

/** A parameter without its name. */
export type Declaration = Omit<ParameterSpec, 'name'>;

/**
 * A place in a model's tree of names, where layers declare their parameters.
 * @example
 * const block = scope.at('h.0');
 * const weight = block.declare('weight', { shape: [64], init: constant(1), layer: 'LayerNorm' }); // 'h.0.weight'
 */
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

/**
 * An initial value: drawn from a normal distribution around 0.
 * @param std standard deviation, 0 or more
 * @returns the initializer of a parameter
 * @example
 * scope.declare('weight', { shape: [64, 64], init: normal(0.02), product: 'in-out', layer: 'Linear' });
 */
export function normal(std: number): Initializer {
  return { kind: 'normal', std };
}

/**
 * An initial value: the same for all elements.
 * @param value of each element
 * @returns the initializer of a parameter
 * @example
 * scope.declare('bias', { shape: [64], init: constant(0), layer: 'Linear' });
 */
export function constant(value: number): Initializer {
  return { kind: 'constant', value };
}

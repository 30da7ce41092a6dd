/**
 * exp and cosine in doubles (log: log.ts) from + − × ÷ and bit operations, which every engine rounds alike; the last bits of
 * Math.exp, Math.log, Math.cos and Math.pow differ between engines.
 *
 * Method and constants: fdlibm 5.3 (Sun Microsystems 1993), `e_exp.c`, `e_log.c`, `k_cos.c`, `k_sin.c`, `e_rem_pio2.c`,
 * whose errors are below 1 ULP.
 */

/** The doubles 2ⁿ for n from −1022 to 1023. */
const POWERS_OF_TWO = new Float64Array(2046);
POWERS_OF_TWO[1022] = 1;
for (let i = 1; i <= 1023; i++) POWERS_OF_TWO[1022 + i] = 2 * POWERS_OF_TWO[1021 + i]!;
for (let i = 1; i <= 1022; i++) POWERS_OF_TWO[1022 - i] = POWERS_OF_TWO[1023 - i]! / 2;

/** 2ⁿ for −1022 ≤ n ≤ 1023. */
function powerOfTwo(n: number): number {
  return POWERS_OF_TWO[n + 1022]!;
}

/** ln 2 in two parts: the first has 32 bits, so that its product with an exponent is exact. */
export const LN2_HIGH = 0.6931471803691238;
export const LN2_LOW = 1.9082149292705877e-10;
const LOG2_E = Math.LOG2E; // only chooses n

const EXP_MAX = 709.782712893384;
const EXP_MIN = -745.1332191019411;
const EXP_P1 = 0.16666666666666602;
const EXP_P2 = -0.0027777777777015593;
const EXP_P3 = 0.00006613756321437934;
const EXP_P4 = -0.0000016533902205465252;
const EXP_P5 = 4.1381367970572385e-8;

/**
 * Computes eˣ. Error below 1 ULP; 0 below −745.13, ∞ above 709.78.
 *
 * @param x - Any number.
 */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > EXP_MAX) return Number.POSITIVE_INFINITY;
  if (x < EXP_MIN) return 0;
  const n = Math.trunc(LOG2_E * x + (x < 0 ? -0.5 : 0.5));
  const high = x - n * LN2_HIGH;
  const low = n * LN2_LOW;
  const r = high - low; // |r| ≤ ln(2) / 2
  const r2 = r * r;
  const c = r - r2 * (EXP_P1 + r2 * (EXP_P2 + r2 * (EXP_P3 + r2 * (EXP_P4 + r2 * EXP_P5))));
  const y = 1 - (low - (r * c) / (2 - c) - high);
  if (n >= -1021) return n === 1024 ? y * 2 * powerOfTwo(1023) : y * powerOfTwo(n);
  return y * powerOfTwo(n + 1000) * powerOfTwo(-1000);
}

/** π/2 in parts of 33 bits each, and what then remains of it. */
const HALF_PI_1 = 1.5707963267341256;
const HALF_PI_1_REST = 6.077100506506192e-11;
const HALF_PI_2 = 6.077100506303966e-11;
const HALF_PI_2_REST = 2.0222662487959506e-21;

const COS_1 = 0.0416666666666666;
const COS_2 = -0.001388888888887411;
const COS_3 = 0.00002480158728947673;
const COS_4 = -2.7557314351390663e-7;
const COS_5 = 2.087572321298175e-9;
const COS_6 = -1.1359647557788195e-11;

/** cos(x + rest) for |x| ≤ π/4 and a rest below an ULP of x. */
function cosineNearZero(x: number, rest: number): number {
  const z = x * x;
  const r = z * (COS_1 + z * (COS_2 + z * (COS_3 + z * (COS_4 + z * (COS_5 + z * COS_6)))));
  const half = 0.5 * z;
  const w = 1 - half;
  return w + (1 - w - half + (z * r - x * rest));
}

const SIN_1 = -0.16666666666666632;
const SIN_2 = 0.00833333333332249;
const SIN_3 = -0.0001984126982985795;
const SIN_4 = 0.0000027557313707070068;
const SIN_5 = -2.5050760253406863e-8;
const SIN_6 = 1.58969099521155e-10;

/** sin(x + rest) for |x| ≤ π/4 and a rest below an ULP of x. */
function sineNearZero(x: number, rest: number): number {
  const z = x * x;
  const v = z * x;
  const r = SIN_2 + z * (SIN_3 + z * (SIN_4 + z * (SIN_5 + z * SIN_6)));
  return x - (z * (0.5 * rest - v * r) - rest - v * SIN_1);
}

/**
 * Computes the cosine of an angle of the half circle. Error below 1 ULP.
 *
 * @param x - 0 … π, in radians.
 * @throws {RangeError} When the angle is elsewhere.
 */
export function cosine(x: number): number {
  if (!(x >= 0 && x <= Math.PI)) throw new RangeError(`cosine: expected an angle from 0 to π, got ${x}.`);
  if (x <= Math.PI / 4) return cosineNearZero(x, 0);
  const quarters = x < (3 * Math.PI) / 4 ? 1 : 2;
  let z = x - quarters * HALF_PI_1; // exact
  let rest = quarters * HALF_PI_1_REST;
  if (z < 2 ** -16 && z > -(2 ** -16)) {
    z -= quarters * HALF_PI_2; // exact, since z is small
    rest = quarters * HALF_PI_2_REST;
  }
  const y = z - rest;
  const yRest = z - y - rest;
  return quarters === 1 ? -sineNearZero(y, yRest) : -cosineNearZero(y, yRest);
}

/**
 * Computes baseⁿ by repeated squaring: Math.pow for whole exponents, the same on every engine.
 * Error: about log₂ n roundings.
 *
 * @param base - Any number.
 * @param exponent - A whole number; below 0 it is the reciprocal.
 * @throws {RangeError} When the exponent is not a whole number.
 */
export function integerPower(base: number, exponent: number): number {
  if (!Number.isSafeInteger(exponent)) throw new RangeError(`power: expected a whole exponent, got ${exponent}.`);
  let result = 1;
  let square = base;
  for (let rest = Math.abs(exponent); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return exponent < 0 ? 1 / result : result;
}

/** The natural logarithm in doubles, by the method of math.ts. */
import { LN2_HIGH, LN2_LOW } from './math.ts';

const bits = new DataView(new ArrayBuffer(8));

/** The upper 32 bits of a double: sign, exponent, 20 bits of the mantissa. */
function highWord(x: number): number {
  bits.setFloat64(0, x);
  return bits.getInt32(0);
}

/** `x` with other upper bits. */
function withHighWord(x: number, high: number): number {
  bits.setFloat64(0, x);
  bits.setInt32(0, high);
  return bits.getFloat64(0);
}

const LOG_L1 = 0.6666666666666735;
const LOG_L2 = 0.3999999999940942;
const LOG_L3 = 0.2857142874366239;
const LOG_L4 = 0.22222198432149784;
const LOG_L5 = 0.1818357216161805;
const LOG_L6 = 0.15313837699209373;
const LOG_L7 = 0.14798198605116586;
/** Upper bits of 1. */
const ONE_HIGH = 0x3ff00000;
/** Added to a mantissa's upper bits, it carries into the exponent from √2 on. */
const SQRT2_CARRY = 0x95f64;

/**
 * Computes the natural logarithm. Error below 1 ULP; −∞ at 0, NaN below.
 *
 * @param x - Any number.
 */
export function log(x: number): number {
  if (Number.isNaN(x) || x < 0) return Number.NaN;
  if (x === 0) return Number.NEGATIVE_INFINITY;
  if (x === Number.POSITIVE_INFINITY) return x;
  const subnormal = x < 2.2250738585072014e-308;
  const scaled = subnormal ? x * 2 ** 54 : x;
  const high = highWord(scaled);
  const mantissa = high & 0xfffff;
  const carry = (mantissa + SQRT2_CARRY) & 0x100000;
  const n = (high >> 20) - 1023 - (subnormal ? 54 : 0) + (carry >> 20);
  const f = withHighWord(scaled, mantissa | (carry ^ ONE_HIGH)) - 1; // 1 + f in [√½, √2)
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const even = w * (LOG_L2 + w * (LOG_L4 + w * LOG_L6));
  const odd = z * (LOG_L1 + w * (LOG_L3 + w * (LOG_L5 + w * LOG_L7)));
  const half = 0.5 * f * f;
  return n * LN2_HIGH - (half - (s * (half + even + odd) + n * LN2_LOW) - f);
}

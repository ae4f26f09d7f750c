/**
 * What each literal looks like to JSON Schema, beside agent/config/literals.ts, which alone decides: everything that is
 * read there has its form here, and some of what has the form is refused there. An editor takes `1` and `true` for a number
 * and a flag where this program reads text, so a form allows both.
 */

export interface Form {
  readonly type?: readonly string[]
  readonly pattern?: string
  readonly enum?: readonly (string | number | boolean)[]
  /** Of a number. */
  readonly minimum?: number
  readonly maximum?: number
  readonly examples?: readonly string[]
}

const DECIMAL = String.raw`\d{1,15}(\.\d{1,9})?`
const quantity = (units: string, ...examples: readonly string[]): Form => ({
  pattern: String.raw`^${DECIMAL}\s*(${units})$`,
  examples,
})

export const DURATION = quantity('ms|s|min|h|d', '500ms', '15min')
export const BYTES = quantity('MB|GB', '500MB', '4GB')
export const CURRENT = quantity('A|mA', '16A')
export const POWER = quantity('kW|W', '3.7kW')
export const VOLTAGE = quantity('V', '207V')
export const FREQUENCY = quantity('Hz', '49.5Hz')
export const ENERGY = quantity('kWh|Wh', '2kWh', '500Wh')
export const SHARE = quantity('%', '2%')
export const PRICE: Form = { type: ['string', 'number'], pattern: `^${DECIMAL}$`, minimum: 0, examples: ['0.28'] }

export const whole = (minimum: number, maximum: number): Form => ({
  ...{ type: ['string', 'integer'], pattern: String.raw`^\d{1,16}$`, minimum, maximum },
})

/** Some of these words. */
export const words = (...choices: readonly (string | number | boolean)[]): Form => ({
  type: choices.some(one => typeof one !== 'string') ? ['string', typeof choices[0]] : ['string'],
  enum: [...choices, ...choices.filter(one => typeof one !== 'string').map(String)],
})

export const FLAG = words(true, false)
/** Digits alone, where they have the form, are a number to an editor. */
export const spelt = (pattern: RegExp, ...examples: readonly string[]): Form => ({
  ...(DIGITS.some(digits => pattern.test(digits)) ? { type: ['string', 'number'] } : {}),
  pattern: pattern.source,
  ...(examples.length === 0 ? {} : { examples }),
})
/** As long as what we spell can be. */
const DIGITS = [1, 8, 64].map(length => '1'.repeat(length))

export const HEX_32 = spelt(/^[0-9a-fA-F]{64}$/)
export const SIGNING_KEY = spelt(/^[0-9a-fA-F]{64}([0-9a-fA-F]{2})?$/)
export const HOST_PORT: Form = { pattern: String.raw`:\d{1,5}$`, examples: ['127.0.0.1:8480'] }
export const CONTACT: Form = { pattern: String.raw`^[A-Za-z][A-Za-z0-9_-]{0,31}\.[1-9]\d?$`, examples: ['board.1'] }
export const MBUS_ADDRESS = spelt(/^([\dFf]{8}(-[A-Za-z]{3}(-[\dA-Fa-f]{2}-[\dA-Fa-f]{2})?)?|\d{1,16})$/, '12345678')
/** Schemes of addresses are written in letters of either size. */
const url = (scheme: string, example: string): Form => ({ pattern: `^\\s*(${scheme})`, examples: [example] })
export const BROKER_URL = url('[Mm][Qq][Tt][Tt][Ss]?:', 'mqtt://127.0.0.1:1883')
export const LEDGER_SOURCE = url('[Hh][Tt][Tt][Pp][Ss]?:|mqtt:', 'http://127.0.0.1:26657')

/**
 * Quantities are whole numbers in one base unit each, branded so that the compiler refuses to mix them.
 *
 * | type    | base unit        | carrier          |
 * |---------|------------------|------------------|
 * | Energy  | milliwatt-hour   | bigint           |
 * | Money   | micro-unit       | bigint           |
 * | Power   | milliwatt        | safe integer     |
 * | Voltage | millivolt        | safe integer     |
 * | Current | milliampere      | safe integer     |
 * | Frequency | millihertz     | safe integer     |
 *
 * Energy and money accumulate for years and are summed by strangers, hence bigint. Momentary values fit a safe integer
 * with ten decimal digits to spare. No float reaches a signature, the ledger or a settlement; a conversion that has to
 * round names its direction.
 */

declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

/** Energy in milliwatt-hours. */
export type Energy = Branded<bigint, 'Energy'>
/** Money in micro-units (a millionth of the ledger's coin). */
export type Money = Branded<bigint, 'Money'>
/** Price in micro-units per kilowatt-hour. */
export type Price = Branded<bigint, 'Price'>
/** Energy on the market and the ledger, in whole watt-hours. */
export type WattHours = Branded<bigint, 'WattHours'>
/** Power in milliwatts; import into the site is positive. */
export type Power = Branded<number, 'Power'>
/** Voltage in millivolts. */
export type Voltage = Branded<number, 'Voltage'>
/** Current in milliamperes. */
export type Current = Branded<number, 'Current'>
/** Frequency in millihertz. */
export type Frequency = Branded<number, 'Frequency'>

function whole(value: number, what: string): number {
  if (!Number.isSafeInteger(value))
    throw new RangeError(`${what} must be a whole number in its base unit, not ${value}`)
  // -0 would print and encode unlike 0.
  return value === 0 ? 0 : value
}

export const milliwattHours = (n: bigint): Energy => n as Energy
export const micros = (n: bigint): Money => n as Money
export const microsPerKwh = (n: bigint): Price => n as Price
export const wattHours = (n: bigint): WattHours => n as WattHours
export const milliwatts = (n: number): Power => whole(n, 'power') as Power
export const millivolts = (n: number): Voltage => whole(n, 'voltage') as Voltage
export const milliamps = (n: number): Current => whole(n, 'current') as Current
export const millihertz = (n: number): Frequency => whole(n, 'frequency') as Frequency

/** Whole watt-hours in an energy, rounded toward zero: the remainder stays in the register for the next slot. */
export const wholeWattHours = (energy: Energy): WattHours => (energy / 1000n) as WattHours

/** What `energy` costs at `price`, rounded down: the buyer never pays a fraction that was not delivered. */
export const costFloor = (energy: WattHours, price: Price): Money => ((energy * price) / 1000n) as Money

/** What `energy` costs at `price`, rounded up: an escrow always covers the whole contract. */
export const costCeil = (energy: WattHours, price: Price): Money => ((energy * price + 999n) / 1000n) as Money

/**
 * The best that a car park can do, by the conditions of the optimum (Karush, Kuhn, Tucker): at one price everybody takes or
 * gives where its slope meets it. Two bisections that know every car's own figures, which no auctioneer does.
 */

/** Of one car or store: energies in kWh, worth in coins. */
export interface Curve {
  readonly charges: boolean
  readonly most: number
  slope(kwh: number): number
  worth(kwh: number): number
}

export const charging = (willingness: number, most: number): Curve => ({
  charges: true,
  most,
  slope: c => willingness / (1 + c),
  worth: c => willingness * Math.log(1 + c),
})

export const giving = (cost: number, wear: number, most: number): Curve => ({
  charges: false,
  most,
  slope: d => cost + wear * d,
  worth: d => -(cost * d + (wear * d * d) / 2),
})

/** More than any price, and more halvings than part two floats. */
const DEAREST = 10
const HALVINGS = 100

export function optimumOf(curves: readonly Curve[]): { readonly worth: number; readonly price: number } {
  const at = ({ charges, most, slope }: Curve, price: number) =>
    bisect(0, most, kwh => (charges ? slope(kwh) > price : slope(kwh) < price))
  const price = bisect(
    0,
    DEAREST,
    price => curves.reduce((sum, one) => sum + (one.charges ? 1 : -1) * at(one, price), 0) > 0,
  )
  return { worth: curves.reduce((sum, one) => sum + one.worth(at(one, price)), 0), price }
}

function bisect(low: number, high: number, rises: (middle: number) => boolean): number {
  let [from, to] = [low, high]
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (from + to) / 2
    if (rises(middle)) from = middle
    else to = middle
  }
  return from
}

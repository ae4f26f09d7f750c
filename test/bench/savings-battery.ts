/**
 * The same homes with their batteries. Alone, a battery takes the own surplus and gives it back: under one flat tariff nothing
 * is better. In a group it also takes what the group would feed in, where the own panels are not expected to fill it, and
 * gives what the group would draw, where the own need until the next surplus is expected to leave something.
 */
import { weekendClass } from '../../protocol/forecast/forecast.ts'
import { clearnessOf } from '../../protocol/forecast/generation.ts'
import { forecastNet } from '../../protocol/forecast/net.ts'
import type { Constraint, Optimiser, Variable } from '../../protocol/market/optimiser.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { HOUR_MS, type Home, PROFILES_START } from './profiles.ts'
import { FEE, FEED_IN, IMPORT, type Nets } from './savings-year.ts'

/** Of charging and of discharging each, permille: nine tenths there and back. */
const KEPT = 950

interface Store {
  readonly capacity: number
  readonly power: number
  /** Wh inside. */
  held: number
  /** Power left in this hour. */
  left: number
}

const storesOf = (homes: readonly Home[]): Store[] =>
  homes.map(({ batteryWh, batteryW }) => ({ capacity: batteryWh, power: batteryW, held: 0, left: 0 }))

/** Takes up to so much at the meter, and says how much. */
function charge(store: Store, most: number): number {
  const room = Math.floor(((store.capacity - store.held) * 1000) / KEPT)
  const taken = Math.max(0, Math.min(most, store.left, room))
  store.held += Math.floor((taken * KEPT) / 1000)
  store.left -= taken
  return taken
}

const available = (store: Store): number => Math.floor((store.held * KEPT) / 1000)

function discharge(store: Store, most: number): number {
  const given = Math.max(0, Math.min(most, store.left, available(store)))
  store.held -= Math.min(store.held, Math.ceil((given * 1000) / KEPT))
  store.left -= given
  return given
}

/** Nets of each hour after `use` had its say, own use first. */
function operate(
  homes: readonly Home[],
  nets: Nets,
  use: (stores: Store[], hour: number[], number: number) => void,
): Nets {
  const stores = storesOf(homes)
  const after = nets.map(net => [...net])
  for (let number = 0; number < nets[0]!.length; number++) {
    const hour = nets.map((net, home) => {
      const store = stores[home]!
      store.left = store.power
      const one = net[number]!
      return one < 0 ? one + charge(store, -one) : one - discharge(store, one)
    })
    use(stores, hour, number)
    for (const [home, net] of hour.entries()) after[home]![number] = net
  }
  return after
}

export const ownUse = (homes: readonly Home[], nets: Nets): Nets => operate(homes, nets, () => {})

/** What each home expects of the hours until its next surplus ends: its need before it, and that surplus, Wh. */
type Outlook = (home: number, hour: number) => { readonly need: number; readonly surplus: number }

const HOURS_SEEN = 36

function outlookOf(ahead: (home: number, hour: number) => readonly number[]): Outlook {
  return (home, hour) => {
    const coming = ahead(home, hour)
    const first = coming.findIndex(net => net < 0)
    if (first < 0) return { need: coming.reduce((sum, net) => sum + net, 0), surplus: 0 }
    const end = coming.findIndex((net, i) => i > first && net > 0)
    return {
      need: coming.slice(0, first).reduce((sum, net) => sum + net, 0),
      surplus: -coming.slice(first, end < 0 ? undefined : end).reduce((sum, net) => sum + Math.min(0, net), 0),
    }
  }
}

/** By each midnight's forecast of two days; nothing is expected before there is a history. */
export function forecastOutlook(homes: readonly Home[]): Outlook {
  const offsetAt = () => 0
  const histories = homes.map(({ load, generation }) => {
    const made = { start: PROFILES_START, slotMs: HOUR_MS, energies: generation }
    return { load: { ...made, energies: load }, generation: made, clearness: clearnessOf(made) }
  })
  const days = new Map<string, readonly number[]>()
  return outlookOf((home, hour) => {
    const day = Math.floor((PROFILES_START + (hour + 1) * HOUR_MS) / 86_400_000)
    const key = `${home} ${day}`
    let nets = days.get(key)
    const from = instant(day * 86_400_000)
    if (nets === undefined) {
      const asked = { from, slots: 48, now: from, permilles: [500], offsetAt, classAt: weekendClass(offsetAt) }
      const forecast = forecastNet(histories[home]!, asked)
      nets = forecast.ok
        ? forecast.value.slots.map(slot => ('energies' in slot ? Number(slot.energies[0]! / 1000n) : 0))
        : []
      days.set(key, nets)
    }
    const next = (PROFILES_START + (hour + 1) * HOUR_MS - from) / HOUR_MS
    return nets.slice(next, next + HOURS_SEEN)
  })
}

export const trueOutlook = (nets: Nets): Outlook =>
  outlookOf((home, hour) => nets[home]!.slice(hour + 1, hour + 1 + HOURS_SEEN))

/** What the homes' batteries do for each other after their own use. */
export function groupUse(homes: readonly Home[], nets: Nets, outlook: Outlook): Nets {
  return operate(homes, nets, (stores, hour, number) => {
    const net = hour.reduce((sum, one) => sum + one, 0)
    if (net === 0) return
    // In proportion to what each can spare; largest first, so that the sum is exact.
    const able = stores.map((store, home) => {
      const { need, surplus } = outlook(home, number)
      return net < 0
        ? store.capacity - store.held - Math.max(0, surplus - Math.floor((need * 1000) / KEPT))
        : available(store) - need
    })
    let left = Math.abs(net)
    for (const { home, most } of able.map((most, home) => ({ home, most })).sort((a, b) => b.most - a.most)) {
      if (left === 0 || most <= 0) break
      const moved = (net < 0 ? charge : discharge)(stores[home]!, Math.min(left, most))
      hour[home]! += net < 0 ? moved : -moved
      left -= moved
    }
  })
}

/** Weeks begin at five in the morning, when batteries are empty anyway. */
const FIRST_HOURS = 6
const WINDOW_HOURS = 168

/**
 * Cost in micro-units with everything known a week ahead, and a week's end worth nothing: within what a battery holds once a
 * week of the true optimum.
 */
export function foresightCost(homes: readonly Home[], nets: Nets, optimiser: Optimiser): number {
  const held = homes.map(() => 0)
  let cost = 0
  for (let from = 0; from < nets[0]!.length; ) {
    const to = Math.min(nets[0]!.length, from + (from === 0 ? FIRST_HOURS : WINDOW_HOURS))
    const variables: Variable[] = []
    const constraints: Constraint[] = []
    const add = (price: number, upper = Number.POSITIVE_INFINITY) =>
      variables.push({ cost: price, lower: 0, upper }) - 1
    const equal = (value: number, terms: Constraint['terms']) => constraints.push({ lower: value, upper: value, terms })
    let inside = held.map((): number | undefined => undefined)
    for (let hour = from; hour < to; hour++) {
      const moved: (readonly [number, number])[] = []
      inside = homes.map(({ batteryWh, batteryW }, home) => {
        const [drawn, fed] = [add(Number(IMPORT) / 1000), add(-Number(FEED_IN) / 1000)]
        const [bought, sold] = [add(0), add(Number(FEE) / 1000)]
        const [taken, given] = [add(0, batteryW), add(0, batteryW)]
        const store = add(0, batteryWh)
        moved.push([bought, 1], [sold, -1])
        const terms = [drawn, bought, given].map(one => [one, 1] as const)
        equal(nets[home]![hour]!, [...terms, ...[fed, sold, taken].map(one => [one, -1] as const)])
        const before = inside[home]
        equal(before === undefined ? held[home]! : 0, [
          [store, 1],
          [taken, -KEPT / 1000],
          [given, 1000 / KEPT],
          ...(before === undefined ? [] : [[before, -1] as const]),
        ])
        return store
      })
      equal(0, moved)
    }
    const { objective, values } = must(optimiser.solve({ sense: 'minimise', variables, constraints }))
    cost += objective
    for (const [home, store] of inside.entries()) held[home] = Math.max(0, values[store!]!)
    from = to
  }
  return cost
}

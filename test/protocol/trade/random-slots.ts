/**
 * Slots drawn from a seed, and their settlement computed anew from the definition: in plain numbers, contract by contract,
 * remainders handed out one watt-hour after the other. Shares no code with the settlement it judges.
 */
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { type SettledSide, type Slot, type SlotContract, settleSlot } from '../../../protocol/trade/deviation.ts'
import { assert } from '../../harness.ts'

type Draw = (n: number) => number

/** Whole numbers from 0 to below `n`. Mulberry32. */
export function chance(seed: number): Draw {
  let state = seed >>> 0
  return n => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

/** Up to eight contracts between up to five sites; now and then a meter says nothing, or nothing flows at all. */
export function drawSlot(draw: Draw): Slot {
  const sites = 2 + draw(4)
  const most = draw(3) === 0 ? 12 : 4000
  const contracts: SlotContract[] = []
  for (let i = draw(9); i > 0; i--) {
    const seller = draw(sites)
    const buyer = (seller + 1 + draw(sites - 1)) % sites
    contracts.push({
      // Hashes come in any order.
      id: `${draw(1_000_000).toString(16).padStart(5, '0')}-${i}`,
      sellerMeter: `M${seller}`,
      buyerMeter: `M${buyer}`,
      energy: wattHours(BigInt(1 + draw(most))),
      price: microsPerKwh(BigInt(draw(400_000))),
      tolerance: wattHours(BigInt(draw(4) === 0 ? draw(1 + most / 4) : 0)),
    })
  }
  const meter = (side: 'sellerMeter' | 'buyerMeter') => {
    const counted = new Map<string, ReturnType<typeof wattHours>>()
    for (let site = 0; site < sites; site++) {
      if (draw(12) === 0) continue
      const agreed = contracts.reduce((sum, c) => sum + (c[side] === `M${site}` ? Number(c.energy) : 0), 0)
      const energy = [agreed, 0, draw(agreed + 1), agreed + draw(most), draw(2 * most)][draw(5)]!
      counted.set(`M${site}`, wattHours(BigInt(energy)))
    }
    return counted
  }
  return {
    contracts,
    exported: meter('sellerMeter'),
    imported: meter('buyerMeter'),
    prices: {
      feedIn: microsPerKwh(BigInt(draw(100_000))),
      drawn: microsPerKwh(BigInt(draw(500_000))),
      shortfall: microsPerKwh(BigInt(draw(900_000))),
    },
  }
}

/** A contract's part of a meter, by the definition: floors first, then a watt-hour at a time to the largest remainder. */
function shareOf(own: SlotContract, side: 'sellerMeter' | 'buyerMeter', slot: Slot): number | undefined {
  const counted = (side === 'sellerMeter' ? slot.exported : slot.imported).get(own[side])
  if (counted === undefined) return undefined
  const rivals = slot.contracts.filter(c => c[side] === own[side])
  const agreed = rivals.reduce((sum, c) => sum + Number(c.energy), 0)
  const there = Math.min(Number(counted), agreed)
  const given = rivals.map(c => Math.floor((there * Number(c.energy)) / agreed))
  const served = rivals.map(() => false)
  for (let left = there - given.reduce((a, b) => a + b, 0); left > 0; left--) {
    let best = -1
    for (const [i, c] of rivals.entries()) {
      if (served[i]) continue
      const rest = (there * Number(c.energy)) % agreed
      const top = best < 0 ? -1 : (there * Number(rivals[best]!.energy)) % agreed
      if (rest > top || (rest === top && c.id < rivals[best]!.id)) best = i
    }
    served[best] = true
    given[best]!++
  }
  return given[rivals.indexOf(own)]!
}

const cost = (wh: number, price: bigint, round: 'floor' | 'ceil'): number => Math[round]((wh * Number(price)) / 1000)

export interface Judged {
  /** Charges of a side whose own meter carried every contract, or that are not what its own meter alone makes them. */
  wrongParty: number
  /** Money or energy that is in no account, or in two. */
  residue: number
  /** Charges there were: else nothing would have been judged. */
  charges: number
  disputed: number
}

/** Settles a slot, judges it from the definition, and adds to the figures. Throws at any other difference. */
function judgeSlot(slot: Slot, figures: Judged): void {
  const settled = settleSlot(slot)
  if (!settled.ok) throw new Error(settled.fault.code)
  const { contracts, meters, balancing, rounding } = settled.value
  assert.is(contracts.length, slot.contracts.length)
  const money = new Map<string, number>()
  const pay = (who: string, amount: number) => money.set(who, (money.get(who) ?? 0) + amount)
  const flows = new Map<string, { sold: number; bought: number }>()
  const flow = (meter: string) => {
    const known = flows.get(meter) ?? { sold: 0, bought: 0 }
    flows.set(meter, known)
    return known
  }
  const settledById = new Map(contracts.map(contract => [contract.id, contract]))
  for (const contract of slot.contracts) {
    const found = settledById.get(contract.id)!
    const shares = { seller: shareOf(contract, 'sellerMeter', slot), buyer: shareOf(contract, 'buyerMeter', slot) }
    const heard = [shares.seller, shares.buyer].filter(share => share !== undefined)
    const delivered = shares.seller === undefined ? 0 : Math.min(Number(contract.energy), ...heard)
    const paid = cost(delivered, contract.price, 'floor')
    if (Number(found.delivered) !== delivered || Number(found.paid) !== paid) {
      throw new Error(`${contract.id}: ${found.delivered} Wh for ${found.paid}, not ${delivered} for ${paid}`)
    }
    if (found.disputed !== (heard.length === 1)) throw new Error(`${contract.id}: disputed ${found.disputed}`)
    if (found.disputed) figures.disputed++
    flow(contract.sellerMeter).sold += delivered
    flow(contract.buyerMeter).bought += delivered
    pay(contract.sellerMeter, paid)
    pay(contract.buyerMeter, -paid)
    for (const [meterId, share, side] of [
      [contract.sellerMeter, shares.seller, found.seller],
      [contract.buyerMeter, shares.buyer, found.buyer],
    ] as const) {
      judgeCharge(contract, share, side, slot, figures)
      pay(meterId, -Number(side.charge))
      pay('balancing', cost(Number(side.shortfall), slot.prices.shortfall, 'floor'))
    }
  }
  for (const { meterId, sold, fedIn, bought, drawn, money: gained } of meters) {
    const { sold: out, bought: back } = flow(meterId)
    const [exported, imported] = [slot.exported.get(meterId), slot.imported.get(meterId)]
    // Once in a contract or once with the balancing party.
    const expected = [
      out,
      exported === undefined ? 0 : Number(exported) - out,
      back,
      imported === undefined ? 0 : Number(imported) - back,
    ]
    for (const [i, energy] of [sold, fedIn, bought, drawn].entries()) {
      if (Number(energy) !== expected[i] || energy < 0n) figures.residue++
    }
    pay(meterId, cost(expected[1]!, slot.prices.feedIn, 'floor') - cost(expected[3]!, slot.prices.drawn, 'ceil'))
    pay('balancing', cost(expected[3]!, slot.prices.drawn, 'floor') - cost(expected[1]!, slot.prices.feedIn, 'ceil'))
    if (Number(gained) !== (money.get(meterId) ?? 0)) figures.residue++
    flows.delete(meterId)
    money.delete(meterId)
  }
  if (flows.size > 0 || Number(balancing) !== (money.get('balancing') ?? 0) || rounding < 0n) figures.residue++
  if (meters.reduce((sum, meter) => sum + meter.money, balancing + rounding) !== 0n) figures.residue++
}

function judgeCharge(
  { energy, tolerance }: SlotContract,
  share: number | undefined,
  side: SettledSide,
  { prices }: Slot,
  figures: Judged,
): void {
  const short = share === undefined ? 0 : Math.max(0, Number(energy) - share - Number(tolerance))
  const charge = cost(short, prices.shortfall, 'ceil')
  if (charge > 0) figures.charges++
  if (Number(side.shortfall) !== short || Number(side.charge) !== charge) figures.wrongParty++
}

/** The same whatever the order in which contracts and meters come. */
function judgeOrder(slot: Slot, draw: Draw): void {
  const shuffled = <T>(items: Iterable<T>): T[] => {
    const all = [...items]
    for (let i = all.length - 1; i > 0; i--) {
      const j = draw(i + 1)
      ;[all[i], all[j]] = [all[j]!, all[i]!]
    }
    return all
  }
  const text = (one: Slot) =>
    JSON.stringify(settleSlot(one), (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))
  const other = {
    ...slot,
    contracts: shuffled(slot.contracts),
    exported: new Map(shuffled(slot.exported)),
    imported: new Map(shuffled(slot.imported)),
  }
  assert.is(text(other), text(slot))
}

/** Judges so many slots of a seed, one in 16 of them in another order too. */
export function judgeSlots(seed: number, count: number): Judged {
  const draw = chance(seed)
  const figures: Judged = { wrongParty: 0, residue: 0, charges: 0, disputed: 0 }
  for (let i = 0; i < count; i++) {
    const slot = drawSlot(draw)
    judgeSlot(slot, figures)
    if (i % 16 === 0) judgeOrder(slot, draw)
  }
  return figures
}

/** Faults of trust: somebody lies about a header, a payment, a reading or a receipt, or nobody confirms. */
import type { LightAgent } from '../../agent/light/run.ts'
import type { World } from '../../agent/world.ts'
import { fromUtf8, toHex } from '../../protocol/bytes.ts'
import { dealKey, dealRecord } from '../../protocol/ledger/deal-record.ts'
import { costCeil } from '../../protocol/quantity.ts'
import { encodeAs } from '../../protocol/record.ts'
import { later, type Mono } from '../../protocol/time.ts'
import {
  closedDeal,
  credulous,
  dealsOf,
  disturbed,
  evidenceOf,
  flowingDeal,
  type MakeFault,
  notFlowing,
  openedAfter,
  opensInTime,
  othersText,
  seconds,
  settledText,
  VICTIM,
  waitFor,
} from './fault-tools.ts'
import type { Stage } from './stage.ts'

const { line: LINE, seller: SELLER, buyer: BUYER } = VICTIM
const believing = (world: World): World => ({ ...world, verifier: credulous })

/** maple's node sends a header with a forged signature under it. The defence is the light client's verification. */
export const forgedHeader: MakeFault = (off, street) => ({
  seamsOf: site => (off && site === SELLER ? { world: believing } : undefined),
  async strike() {
    const bench = street()
    const target = await flowingDeal(bench, LINE)
    if (target === undefined) return notFlowing(LINE)
    const { running } = bench
    const node = bench.struck(SELLER).primary
    const { light } = running.agents.get(SELLER)!
    node.forge = 'signature'
    // A new block is there, and the forged header is put before the client now rather than at its next look.
    await running.timers.sleep(1_100)
    const at = running.clock.mono()
    await light.follow()
    const openMs = await opensInTime(bench, LINE, at)
    node.forge = undefined
    const saved = await evidenceOf(bench, SELLER, ['signature'])
    const trouble = disturbed(target)
    const refused = light.stats().refusals > 0
    const deal = openMs === undefined ? undefined : await closedDeal(bench, target.hash)
    return {
      outcome: `${refused ? `refused and saved as ${saved}` : 'the header was believed'}, contacts ${openMs === undefined ? 'did not open' : `open after ${seconds(openMs)}`}, ${settledText(deal)}, ${othersText(trouble)}`,
      asExpected: refused && saved !== undefined && deal?.state === 'settled' && trouble === undefined,
      ...(openMs === undefined ? {} : { openMs }),
    }
  },
})

/**
 * cedar says that it has paid and hands nothing in. The defence is that each end believes only a proof; with it out, both
 * are told what they would like to see.
 */
export const paymentNotLocked: MakeFault = (off, street) => {
  let lying = false
  const flattered = (light: LightAgent): LightAgent => ({
    ...light,
    prove: async (key, atLeast) => {
      const proven = await light.prove(key, atLeast)
      if (!lying || !proven.ok || proven.value.value !== undefined) return proven
      return { ok: true, value: { ...proven.value, value: wishedRecord(street(), key) } }
    },
  })
  return {
    seamsOf: site => (off && (site === SELLER || site === BUYER) ? { light: flattered } : undefined),
    async strike() {
      const bench = street()
      const { running } = bench
      const target = await flowingDeal(bench, 'L2')
      if (target === undefined) return notFlowing('L2')
      const selling = () => running.agents.get(SELLER)!.trading.deals()
      const known = new Set(selling().map(({ runner }) => runner))
      bench.struck(BUYER).swallow = 'commit'
      lying = off
      const unpaid = () => selling().find(({ runner }) => !known.has(runner))?.runner
      const reached = (...states: readonly string[]) => states.includes(unpaid()?.deal().state ?? '')
      if (!(await waitFor(bench, () => reached('escrowed', 'armed', 'started'), 240_000))) {
        return { outcome: 'no unpaid deal came about', asExpected: false }
      }
      const since = running.clock.mono()
      await waitFor(bench, () => reached('expired', 'aborted', 'started', 'stopped'), 90_000)
      bench.struck(BUYER).swallow = undefined
      lying = false
      const { state, cause, hash } = unpaid()!.deal()
      const closed = running.moves.some(
        ({ contact, position, mono }) => contact.of === LINE && position === 'closed' && mono >= since,
      )
      const saved = await evidenceOf(bench, SELLER, [toHex(hash)])
      const trouble = disturbed(target)
      return {
        outcome: `the unpaid deal is ${state} (${cause?.code ?? 'no cause'}), its contacts ${closed ? 'closed' : 'stayed open'}, ${saved === undefined ? 'no proof was saved' : `the proof of absence is saved as ${saved}`}, ${othersText(trouble)}`,
        asExpected: state === 'expired' && !closed && saved !== undefined && trouble === undefined,
      }
    },
  }
}

/** The record that the deal under this key would have, had it been paid. */
function wishedRecord({ running }: Stage, key: Uint8Array): Uint8Array | undefined {
  const found = dealsOf(running).find(({ runner }) => dealKey(runner.deal().hash) === fromUtf8(key))
  if (found === undefined) return undefined
  const { contract } = found.runner.deal()
  const receiptBy = later(contract.end, contract.receiptWindowMs)
  return encodeAs(dealRecord, {
    ...contract,
    state: 'locked',
    escrow: costCeil(contract.energy, contract.price),
    receiptBy,
    settleBy: later(receiptBy, contract.disputeWindowMs),
    height: 1n,
  })
}

/** cedar's software alters a signed reading on its way to maple. The defence is the signature. */
export const tamperedReading: MakeFault = (off, street) => {
  let armed = false
  let sentAt: Mono | undefined
  return {
    seamsOf: site => {
      if (site === SELLER && off) return { world: believing }
      if (site !== BUYER) return undefined
      return {
        post: post => ({
          ...post,
          send: (peer, body, how) => {
            if (!armed || body.kind !== 'reading') return post.send(peer, body, how)
            sentAt ??= street().running.clock.mono()
            const envelope = body.reading.envelope.slice()
            // One bit of the signature, the last byte of the envelope.
            envelope[envelope.length - 1]! ^= 1
            return post.send(peer, { ...body, reading: { ...body.reading, envelope } }, how)
          },
        }),
      }
    },
    async strike() {
      const bench = street()
      const target = await flowingDeal(bench, LINE)
      if (target === undefined) return notFlowing(LINE)
      armed = true
      await waitFor(bench, () => sentAt !== undefined, 20_000)
      armed = false
      if (sentAt === undefined) return { outcome: 'no reading was sent', asExpected: false }
      const openMs = await opensInTime(bench, LINE, sentAt)
      const saved = await evidenceOf(bench, SELLER, ['cose.signature'])
      const trouble = disturbed(target)
      const deal = openMs === undefined ? undefined : await closedDeal(bench, target.hash)
      return {
        outcome: `${saved === undefined ? 'the reading was believed' : `refused and saved as ${saved}`}, contacts ${openMs === undefined ? 'did not open' : `open after ${seconds(openMs)}`}, ${settledText(deal)}, ${othersText(trouble)}`,
        asExpected: saved !== undefined && deal?.state === 'settled' && trouble === undefined,
        ...(openMs === undefined ? {} : { openMs }),
      }
    },
  }
}

/** No witness answers. The defence is that the client asks others at all; with it out, it asks its primary again. */
export const noWitness: MakeFault = (off, street) => ({
  seamsOf: () => {
    if (!off) return undefined
    return {
      world: world => {
        let primary: string | undefined
        return {
          ...world,
          openLedger: url => {
            primary ??= url
            return world.openLedger(primary)
          },
        }
      },
    }
  },
  async strike() {
    const bench = street()
    const { running } = bench
    const target = await flowingDeal(bench, LINE)
    if (target === undefined) return notFlowing(LINE)
    for (const { name } of running.street.sites) bench.struck(name).witnesses.down = true
    const at = running.clock.mono()
    const lights = [...running.agents.values()].map(agent => agent.light)
    const raised = await waitFor(bench, () => lights.every(light => light.health().state === 'no-witness'), 20_000)
    const proven = () => dealsOf(running).filter(({ runner }) => runner.lockProof() !== undefined)
    const known = new Set(proven().map(({ runner }) => runner))
    const ended = await waitFor(bench, () => openedAfter(bench, LINE, at) !== undefined, 90_000)
    const believed = proven().some(({ runner }) => !known.has(runner))
    const own = dealsOf(running).filter(({ runner }) => toHex(runner.deal().hash) === target.hash)
    const trouble = disturbed({ ...target, others: [...target.others, ...own] })
    for (const { name } of running.street.sites) bench.struck(name).witnesses.down = false
    const deal = await closedDeal(bench, target.hash)
    const finish =
      ended && trouble === undefined ? 'running deals finished' : `a running deal was stopped by ${trouble?.code}`
    return {
      outcome: `${raised ? 'the warning was raised' : 'no warning was raised'}, ${finish}, ${believed ? 'a new payment was believed' : 'no new payment was believed'}, ${settledText(deal)}`,
      asExpected: raised && ended && !believed && trouble === undefined && deal?.state === 'settled',
    }
  },
})

/** cedar keeps its receipt. The defence is that maple hands in its own and the dispute window counts it. */
export const withheldReceipt: MakeFault = (off, street) => ({
  async strike() {
    const bench = street()
    const target = await flowingDeal(bench, LINE)
    if (target === undefined) return notFlowing(LINE)
    bench.struck(BUYER).swallow = 'receipt'
    if (off) bench.struck(SELLER).swallow = 'receipt'
    const deal = await closedDeal(bench, target.hash)
    bench.struck(BUYER).swallow = undefined
    bench.struck(SELLER).swallow = undefined
    const trouble = disturbed(target)
    const delivered = deal?.outcome?.delivered ?? 0n
    return {
      outcome: `${settledText(deal)}, ${othersText(trouble)}`,
      asExpected:
        deal?.state === 'settled' && deal.outcome?.disputed === true && delivered > 0n && trouble === undefined,
    }
  },
})

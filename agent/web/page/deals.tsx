/** The deals, newest first: how far each has come, what was proven of it, what both meters counted and what was paid. */
import type { State } from '../../../protocol/trade/deal-state.ts'
import type { DealSaid, DealsSaid } from '../answers.ts'
import type { DealView, Snapshot } from '../snapshot.ts'
import { useAsked, useServed } from './ask.ts'
import { useState } from './dom.ts'
import { clock, coins, energy, moment, wattHours } from './format.ts'
import { Count, Figure, Heading, Seal, Trouble } from './parts.tsx'
import { dealSentence, proofSentence, stateOf } from './sentences.ts'

const SHOWN = 12
const EARLY_ENDS: readonly State[] = ['refunded', 'aborted', 'expired']
/** The way of a deal in which nothing goes wrong. */
const PATH: readonly State[] = ['proposed', 'signed', 'escrowed', 'armed', 'started', 'stopped', 'receipted', 'settled']

type Shown = DealView & Partial<DealSaid>

export function Deals({ snapshot, chosen }: { readonly snapshot: Snapshot; readonly chosen: string | undefined }) {
  const served = useServed().has('/api/deals')
  // Each step of a deal is a question of its own.
  const turn = snapshot.deals.reduce((sum, { history }) => sum + 1 + history.length, 0)
  const asked = useAsked<DealsSaid>(served ? '/api/deals' : undefined, 10_000, turn)
  const newest = new Map(snapshot.deals.map(deal => [deal.id, deal]))
  const deals: readonly Shown[] =
    asked.value?.deals.map(deal => ({ ...deal, ...newest.get(deal.id) })) ?? snapshot.deals
  const [all, setAll] = useState(false)
  const shown = all ? deals : deals.filter((deal, n) => n < SHOWN || deal.id === chosen)
  return (
    <>
      <Heading>
        Deals <Count count={deals.length} />
      </Heading>
      {asked.trouble !== undefined && <Trouble asked={asked} what="What the agent keeps of its deals" />}
      {deals.length === 0 && (
        <p class="quiet">No deal yet. Sites offer and negotiate as their surplus and need arise.</p>
      )}
      <ol class="deals">
        {shown.map(deal => (
          <Deal key={deal.id} deal={deal} chosen={deal.id === chosen} now={snapshot.time} />
        ))}
      </ol>
      {deals.length > SHOWN && (
        <button type="button" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? 'Show fewer' : `Show all ${deals.length}`}
        </button>
      )}
    </>
  )
}

const isOver = ({ state }: DealView) => state === 'settled' || EARLY_ENDS.includes(state)

function Deal({ deal, chosen, now }: { readonly deal: Shown; readonly chosen: boolean; readonly now: number }) {
  const served = useServed().has('/api/deals/records')
  // What a person has opened stays open while the deal goes on.
  const [open] = useState(chosen || !isOver(deal))
  return (
    <li class={`card deal ${deal.state}`} aria-label={dealSentence(deal)}>
      <div class="deal-head">
        <span class="line-id">{deal.line}</span>
        <span class="parties">
          <b>{deal.seller}</b> <span aria-hidden="true">→</span> <span class="hidden">sells to</span>{' '}
          <b>{deal.buyer}</b>
        </span>
        <span class="terms">
          {energy(deal.energyWh)} at {coins(deal.priceMicroPerKwh)} per kWh
        </span>
        <span class={`badge ${deal.state}`}>{stateOf(deal.state)}</span>
      </div>
      {deal.proof !== undefined && (
        <p class="proof">
          <Seal />
          <span>
            {proofSentence(deal.proof)}{' '}
            <code title={`AppHash ${deal.proof.appHash}`}>{deal.proof.appHash.slice(0, 12)}</code>
          </span>
        </p>
      )}
      {deal.deliveredWh !== undefined && <Delivered deal={deal} delivered={deal.deliveredWh} />}
      {deal.note !== undefined && <p class="note">{deal.note}</p>}
      <details open={open}>
        <summary>
          Steps and receipts <span class="hidden">of the deal on line {deal.line}</span>
        </summary>
        {/* When those of an earlier life took their steps the journal does not say. */}
        {deal.history.length > 0 && <Steps deal={deal} />}
        <Receipts deal={deal} now={now} />
        {/* The street's page shows deals that no one agent has. */}
        {served && deal.role !== undefined && (
          <p class="small">
            <a href={`/api/deals/records?id=${deal.id}`} download>
              Download the signed records <span class="hidden">of the deal on line {deal.line}</span>
            </a>{' '}
            <span class="quiet">
              for whoever must be shown them; <code>tieline verify</code> checks the file.
            </span>
          </p>
        )}
      </details>
    </li>
  )
}

function Delivered({ deal, delivered }: { readonly deal: Shown; readonly delivered: string }) {
  const share = Math.min(1, Number(delivered) / Math.max(1, Number(deal.energyWh)))
  return (
    <div class="delivered">
      <div
        class="bar"
        role="progressbar"
        aria-label="Delivered"
        aria-valuenow={Math.round(share * 100)}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <span style={{ width: `${share * 100}%` }} />
      </div>
      <span>
        {energy(delivered)} delivered
        {deal.paidMicro !== undefined && (
          <>
            , <strong>{coins(deal.paidMicro)} paid</strong>
          </>
        )}
      </span>
    </div>
  )
}

/** What the deal rests on, as far as this agent knows it. */
function Receipts({ deal, now }: { readonly deal: Shown; readonly now: number }) {
  const { begin, end } = deal.receipts ?? {}
  const counted = begin && end && BigInt(end.registerMwh) - BigInt(begin.registerMwh)
  return (
    <dl class="figures small">
      {deal.start !== undefined && deal.end !== undefined && (
        <Figure label="Slot">
          {moment(deal.start, now)} to {moment(deal.end, now)}
        </Figure>
      )}
      {deal.lock !== undefined && <Figure label="Payment locked at height">{deal.lock.height}</Figure>}
      {begin !== undefined && <Figure label="Own meter at its begin">{wattHours(begin.registerMwh)}</Figure>}
      {end !== undefined && <Figure label="Own meter at its end">{wattHours(end.registerMwh)}</Figure>}
      {counted !== undefined && <Figure label="Own meter counted">{wattHours(String(counted))}</Figure>}
      {deal.deliveredWh !== undefined && <Figure label="Delivered, as metered">{energy(deal.deliveredWh)}</Figure>}
      {deal.paidMicro !== undefined && <Figure label="Paid">{coins(deal.paidMicro)}</Figure>}
      <div class="figure id">
        <dt>Contract</dt>
        <dd>
          <code>{deal.id}</code>
        </dd>
      </div>
    </dl>
  )
}

/** The path a deal takes; one that ended early shows where it left it. */
function Steps({ deal }: { readonly deal: DealView }) {
  const reached = new Map(deal.history.map(({ state, at }) => [state, at]))
  const early = EARLY_ENDS.includes(deal.state)
  const onTheWay = PATH.flatMap((state): readonly State[] =>
    state === 'settled' && reached.has('disputed') ? ['disputed', state] : [state],
  )
  const path = early ? [...onTheWay.filter(state => reached.has(state)), deal.state] : onTheWay
  return (
    <ol class="steps">
      {path.map(state => {
        const at = reached.get(state)
        const now = state === deal.state
        return (
          <li
            key={state}
            class={`${at === undefined ? 'ahead' : 'reached'}${now ? ' now' : ''}${early && now ? ' ended' : ''}`}
            {...(now ? { 'aria-current': 'step' as const } : {})}
          >
            <span class="state">{stateOf(state)}</span>
            {at !== undefined && <time>{clock(at)}</time>}
          </li>
        )
      })}
    </ol>
  )
}

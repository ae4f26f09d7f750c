/** The deals, newest first: how far each has come, and what was proven of it. */
import type { State } from '../../../protocol/trade/deal-state.ts'
import type { DealView } from '../snapshot.ts'
import { useState } from './dom.ts'
import { clock, coins, energy } from './format.ts'
import { dealSentence, proofSentence, stateOf } from './sentences.ts'

const SHOWN = 6
const EARLY_ENDS: readonly State[] = ['refunded', 'aborted', 'expired']
/** The way of a deal in which nothing goes wrong. */
const PATH: readonly State[] = ['proposed', 'signed', 'escrowed', 'armed', 'started', 'stopped', 'receipted', 'settled']

export function Deals({ deals }: { readonly deals: readonly DealView[] }) {
  const [all, setAll] = useState(false)
  const shown = all ? deals : deals.slice(0, SHOWN)
  return (
    <section class="card" aria-labelledby="deals-title">
      <h2 id="deals-title">
        Deals <span class="count">{deals.length}</span>
      </h2>
      {deals.length === 0 && (
        <p class="quiet">No deal yet. Sites offer and negotiate as their surplus and need arise.</p>
      )}
      <ol class="deals">
        {shown.map(deal => (
          <Deal key={deal.id} deal={deal} />
        ))}
      </ol>
      {deals.length > SHOWN && (
        <button type="button" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? 'Show fewer' : `Show all ${deals.length}`}
        </button>
      )}
    </section>
  )
}

function Deal({ deal }: { readonly deal: DealView }) {
  const share =
    deal.deliveredWh === undefined ? 0 : Math.min(1, Number(deal.deliveredWh) / Math.max(1, Number(deal.energyWh)))
  return (
    <li class={`deal ${deal.state}`} aria-label={dealSentence(deal)}>
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
      <Steps deal={deal} />
      {deal.deliveredWh !== undefined && (
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
            {energy(deal.deliveredWh)} delivered
            {deal.paidMicro !== undefined && (
              <>
                , <strong>{coins(deal.paidMicro)} paid</strong>
              </>
            )}
          </span>
        </div>
      )}
      {deal.proof !== undefined && (
        <p class="proof">
          <Seal />
          <span>
            {proofSentence(deal.proof)}{' '}
            <code title={`AppHash ${deal.proof.appHash}`}>{deal.proof.appHash.slice(0, 12)}</code>
          </span>
        </p>
      )}
      {deal.note !== undefined && <p class="note">{deal.note}</p>}
    </li>
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

const Seal = () => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path class="seal" d="M8 .8 14 3v4.6c0 3.6-2.4 6.2-6 7.6-3.6-1.4-6-4-6-7.6V3Z" />
    <path class="tick" d="m5 7.9 2.2 2.2L11.2 6" />
  </svg>
)

/** A day's or a month's bill: what it came to, what trading saved, what the rest of the day will cost, and what is not known. */
import type { BillView } from '../snapshot.ts'
import { useAsked } from './ask.ts'
import { coins, energy, minute, moment, month } from './format.ts'
import { Figure, Trouble } from './parts.tsx'
import { missingSentence } from './sentences.ts'

/** A bill changes with each quarter of an hour, and with each contract that is settled. */
const ASK_MS = 30_000

/** Money as a person says it: what a site pays is a cost, and no cost is negative. */
const Sum = ({ micro, pays, gets }: { readonly micro: string; readonly pays: string; readonly gets: string }) => {
  const costs = micro.startsWith('-')
  return <Figure label={costs ? pays : gets}>{coins(costs ? micro.slice(1) : micro)}</Figure>
}

export function Bill({ period, whole = false }: { readonly period: BillView['period']; readonly whole?: boolean }) {
  const asked = useAsked<BillView>(`/api/bill?period=${period}`, ASK_MS)
  const bill = asked.value
  const missing = bill && missingSentence(bill)
  const title = period === 'day' ? "Today's bill" : bill === undefined ? 'This month' : month(bill.start)
  const until = bill && (period === 'day' ? minute(bill.until) : moment(bill.until, bill.until).slice(0, 5))
  return (
    <section class={`card bill ${period}`} aria-labelledby={`bill-${period}`}>
      <h2 id={`bill-${period}`}>{title}</h2>
      <Trouble asked={asked} what="The bill" />
      {bill !== undefined && (
        <>
          <dl class="figures">
            <Sum micro={bill.money} pays={`Cost until ${until}`} gets={`Earned until ${until}`} />
            <Sum micro={bill.saved} pays="Lost by trading" gets="Saved by trading" />
            {bill.ahead !== undefined && (
              <Sum
                micro={bill.ahead.money}
                pays="Rest of the day, expected cost"
                gets="Rest of the day, expected gain"
              />
            )}
            {period === 'day' && <Figure label="A kWh costs now">{coins(bill.now.pays)}</Figure>}
            {period === 'day' && <Figure label="A kWh brings now">{coins(bill.now.gets)}</Figure>}
          </dl>
          {whole && (
            <dl class="figures small">
              <Figure label="Bought from neighbours">{energy(bill.energy.bought)}</Figure>
              <Figure label="Sold to neighbours">{energy(bill.energy.sold)}</Figure>
              <Figure label="Drawn from the supplier">{energy(bill.energy.drawn)}</Figure>
              <Figure label="Fed in">{energy(bill.energy['fed-in'])}</Figure>
              <Figure label="Fees in it">{coins(bill.fees)}</Figure>
              <Sum
                micro={bill.withoutTrading}
                pays="Without trading it would cost"
                gets="Without trading it would bring"
              />
            </dl>
          )}
          {missing !== undefined && <p class="quiet">{missing}</p>}
        </>
      )}
    </section>
  )
}

/**
 * What the site pays and is paid, for machines and the page:
 *
 *     GET /api/bill?period=day                      of the running day
 *     GET /api/bill?period=month&at=1795000000000   of the month that this moment is in
 *
 *     {"period": "day", "start": 1794956400000, "end": 1795042800000, "until": 1795000500000, "complete": false,
 *      "missing": [{"start": 1794999600000, "end": 1795000500000, "why": "not-settled"}],
 *      "money": "-1234567", "withoutTrading": "-1500000", "saved": "265433", "fees": "-2000",
 *      "energy": {"bought": "4200", "sold": "0", "drawn": "1800", "fed-in": "300"},
 *      "now": {"pays": "240000", "gets": "50000"}, "ahead": {"from": 1795000500000, "money": "-600000"}}
 *
 * Times are Unix milliseconds, energies watt-hours, money micro-units and prices micro-units per kWh, all three as text. Money
 * is negative where the site pays. `missing` is in no sum but for what its settled contracts cost and brought.
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import { BILL_PERIODS, type SiteBill, type SiteBills } from '../bill/site-bill.ts'
import type { BillView } from './snapshot.ts'

/** The years 2000 to 8999: every site began later, and the calendar goes further. */
const TIMES = { from: 946_684_800_000, to: 221_845_392_000_000 } as const

export function billRoute(bills: SiteBills | undefined, now: () => Instant): Handler {
  return async ({ query }) => {
    if (bills === undefined)
      return refusal(503, { code: 'bill.none', hint: "name the supplier's tariff under grid; or see the log" })
    const period = BILL_PERIODS.find(each => each === query.get('period'))
    const at = query.get('at') ?? String(now())
    if (period === undefined) return wrong('period', BILL_PERIODS.join(', '))
    const moment = /^\d{1,15}$/.test(at) ? Number(at) : Number.NaN
    if (!(moment >= TIMES.from && moment < TIMES.to)) return wrong('at', 'Unix milliseconds')
    const unknown = [...query.keys()].find((key, i, all) => !['period', 'at'].includes(key) || all.indexOf(key) < i)
    if (unknown !== undefined) return wrong(unknown, 'period and at, each once')
    const bill = await bills.bill(period, instant(moment))
    if (!bill.ok) return refusal(bill.fault.code === 'bill.future' ? 400 : 503, bill.fault)
    return { kind: 'json', status: 200, value: viewBill(bill.value) }
  }
}

const refusal = (status: number, fault: Fault): HttpReply => ({ kind: 'json', status, value: fault })
const wrong = (parameter: string, hint: string): HttpReply => refusal(400, { code: 'bill.query', parameter, hint })

const viewBill = (bill: SiteBill): BillView =>
  JSON.parse(JSON.stringify(bill, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)))

/** `tieline deals`: asks the running agent, and says each deal with its proof; or writes down what one of them rests on. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { writeNewTextFile } from '../../../drivers/text-file.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { instant, isoTime } from '../../../protocol/time.ts'
import { readDealRecords } from '../../../protocol/trade/deal-records-json.ts'
import { oneLine } from '../../log.ts'
import type { DealSaid, DealsSaid } from '../../web/answers.ts'
import { type AskOptions, askAgent, askPlain, naming } from '../ask-agent.ts'
import { MISSING_WHY } from '../evidence/missing-why.ts'
import { parseMoment } from '../evidence/moment.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'
import { coins, decimal, kilowattHours } from './quantities.ts'

export interface DealsOptions extends AskOptions {
  /** A new file for the records of the one deal. */
  readonly records?: string
  /** As they were typed. */
  readonly since?: string
  readonly limit?: string
}

const SHORT_ID = 8
/** What one answer of the agent holds. */
const MOST = 200
/** The agent proves anew what it no longer has a proof of, and asks for the blocks on the way there: three seconds each. */
const RECORDS_MS = 10_000

/** `id` is the beginning of a deal's; with `json`: what the API answers. */
export async function showDeals(id: string | undefined, options: DealsOptions, terminal: Terminal): Promise<ExitCode> {
  const { records } = options
  if (records !== undefined && id === undefined)
    return misused('deals', '--records is of one deal: name it by its id', terminal)
  if (id !== undefined && !/^[0-9a-f]{1,64}$/.test(id))
    return misused('deals', `${id.slice(0, 80)} is no deal's id: digits and a to f are`, terminal)
  const query = queryOf(id, options)
  if (!query.ok) return misused('deals', faultLine(query.fault), terminal)
  const said = await askAgent({
    command: 'deals',
    options,
    terminal,
    path: `/api/deals${query.value}`,
    is: naming<DealsSaid>('deals'),
  })
  if (typeof said === 'number') return said
  const { deals, dropped, more, unread } = said
  const none = deals.length === 0 && id !== undefined
  if (records !== undefined && !none) return writeRecords(deals, { ...options, records }, terminal)
  if (options.json) {
    terminal.out(jsonLine({ ok: !none, site: said.site, deals, dropped, more, ...(unread && { unread }) }))
    return none ? EXIT.no : EXIT.ok
  }
  if (deals.length === 0 && id === undefined) terminal.out('no deal\n')
  for (const deal of deals) terminal.out(id === undefined ? shortText(deal) : fullText(deal))
  for (const each of dropped) terminal.err(`${droppedText(each, id === undefined ? SHORT_ID : each.id.length)}\n`)
  if (more) terminal.err('there are older ones: name a --limit or an id, or use tieline export --what deals\n')
  if (unread !== undefined) terminal.err(`those of before the start cannot be told: ${oneLine(faultLine(unread))}\n`)
  if (none && dropped.length === 0) terminal.err(`tieline deals: no deal of ${said.site} begins with ${id}\n`)
  return none ? EXIT.no : EXIT.ok
}

function queryOf(id: string | undefined, { since, limit }: DealsOptions): Result<string> {
  const from = since === undefined ? undefined : parseMoment(since, createSystemTime().clock.now())
  if (from?.ok === false) return from
  if (limit !== undefined && !(/^\d{1,3}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MOST))
    return fail({ code: 'usage.limit', typed: limit.slice(0, 20), hint: `from 1 to ${MOST}` })
  const asked = {
    ...(id === undefined ? {} : { id }),
    ...(from === undefined ? {} : { since: String(from.value) }),
    ...(limit === undefined ? {} : { limit }),
  }
  const query = new URLSearchParams(asked).toString()
  return ok(query === '' ? '' : `?${query}`)
}

const droppedText = ({ id, start, end }: DealsSaid['dropped'][number], length: number): string =>
  `${id.slice(0, length)}  ${isoTime(instant(start))} to ${isoTime(instant(end))}: the journal no longer keeps its record`

async function writeRecords(
  deals: readonly DealSaid[],
  { config: configFile, records, json }: DealsOptions & { readonly records: string },
  terminal: Terminal,
): Promise<ExitCode> {
  const [deal, another] = deals
  const refuse = (fault: Fault, exit: ExitCode): ExitCode => {
    if (json) terminal.out(jsonLine({ ok: false, fault }))
    else terminal.err(`${oneLine(`tieline deals: nothing is written: ${faultLine(fault)}`)}\n`)
    return exit
  }
  if (deal === undefined || another !== undefined) {
    const hint = `${deals.length} deals begin so: name more of its digits`
    return refuse({ code: 'deal.ambiguous', hint }, EXIT.no)
  }
  const config = await readSite(configFile, terminal)
  if (typeof config === 'number') return config
  const answer = await askPlain(config, `/api/deals/records?id=${deal.id}`, RECORDS_MS)
  if (!answer.ok) return refuse(answer.fault, EXIT.unavailable)
  // What cannot be read back is not written down.
  const text = `${JSON.stringify(answer.value.value, null, 1)}\n`
  const read = readDealRecords(text)
  if (answer.value.status !== 200 || !read.ok) {
    return refuse({ code: 'agent.refused', status: answer.value.status }, EXIT.unavailable)
  }
  const written = await writeNewTextFile(records, text)
  if (!written.ok) return refuse(written.fault, exitOf(written.fault))
  const { missing, ledger, reservation } = read.value
  const begins = [ledger, reservation].flatMap(shown => shown?.path.slice(0, 1) ?? [])
  const trust = begins.map(({ header: { height } }) => `--trust ${height}:HASH`).join(' ')
  const chains = begins.map(({ header: { chainId } }) => chainId).join(' and ')
  if (json) terminal.out(jsonLine({ ok: true, file: records, deal: deal.id, missing }))
  else {
    terminal.out(`${records}: the records of deal ${deal.id}\n`)
    for (const { piece, why } of missing) terminal.err(`${piece} is missing: ${MISSING_WHY[why]}\n`)
    if (trust !== '')
      terminal.err(`tieline verify ${records} ${trust}, with the hash that its reader trusts on ${chains}\n`)
  }
  return EXIT.ok
}

const header = ({ id, state, role, peer, line, to, model }: DealSaid, length: number): string =>
  `${id.slice(0, length)}  ${state}  ${role === 'seller' ? 'sells to' : 'buys from'} ${peer}, ${
    to === undefined ? `${model} ${line}` : `over the grid from ${line} to ${to}`
  }\n`

const terms = ({ energyWh, priceMicroPerKwh, start, end }: DealSaid): string =>
  `  ${kilowattHours(energyWh)} at ${coins(priceMicroPerKwh)} a kWh, ${isoTime(instant(start))} to ${isoTime(instant(end))}\n`

function shortText(deal: DealSaid): string {
  const { deliveredWh, paidMicro, note } = deal
  const metered = deliveredWh === undefined ? '' : `  metered ${kilowattHours(deliveredWh)}`
  const paid = paidMicro === undefined ? '' : `${metered === '' ? '  ' : ', '}paid ${coins(paidMicro)}`
  return `${header(deal, SHORT_ID)}${terms(deal)}${proofLine(deal)}${
    metered + paid === '' ? '' : `${metered}${paid}\n`
  }${note === undefined ? '' : `  ${note}\n`}`
}

/** `payment locked, proven at height 1234 by 4 of 4 validators`. */
function proofLine({ proof, lock }: DealSaid): string {
  if (proof !== undefined) {
    const { of, height, signed, validators } = proof
    return `  ${of}, proven at height ${height} by ${signed} of ${validators} validators\n`
  }
  return lock === undefined ? '' : `  payment locked, proven at height ${lock.height} before the agent was started\n`
}

function fullText(deal: DealSaid): string {
  const { receipts, history, proof, phase } = deal
  const readings = (['begin', 'end'] as const).flatMap(which => {
    const receipt = receipts[which]
    return receipt === undefined ? [] : [`  ${which} reading signed: ${decimal(receipt.registerMwh, 6)} kWh\n`]
  })
  const root = proof === undefined ? '' : `  against the application hash ${proof.appHash}\n`
  const states = history.map(({ state, at }) => `  ${isoTime(instant(at))} ${state}\n`)
  const [first, ...rest] = shortText({ ...deal, id: deal.id }).split('\n')
  return [
    `${deal.id}${first!.slice(SHORT_ID)}${phase === 'idle' ? '' : `, ${phase}`}\n`,
    `${rest.slice(0, -1).join('\n')}\n`,
    ...[root, ...readings, ...states],
  ].join('')
}

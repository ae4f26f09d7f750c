/** `tieline status`: what the running agent says of itself, on one screen. */
import { type DiskSpace, readDiskSpace } from '../../../drivers/store/disk-space.ts'
import { instant, isoTime } from '../../../protocol/time.ts'
import type { DealsSaid, LightSaid, WalletSaid } from '../../web/answers.ts'
import type { RelaysSaid } from '../../web/relay-routes.ts'
import type { StatusSaid } from '../../web/site-routes.ts'
import { type AskOptions, askSite, naming } from '../ask-agent.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { coins, duration } from './quantities.ts'

interface Standing {
  readonly status: StatusSaid
  readonly relays: RelaysSaid
  readonly light: LightSaid
  readonly wallet: WalletSaid
  readonly deals: DealsSaid
  readonly disk: DiskSpace | undefined
}

/** A journal's segment is made of 16 MiB of zeros beforehand; two fit. */
const LITTLE_BYTES = 64 << 20

/** With `json`: {ok, site, version, boot, since, health, meters, relays, light, wallet, deals, disk}. */
export async function showStatus(options: AskOptions, terminal: Terminal): Promise<ExitCode> {
  const config = await readSite(options.config, terminal)
  if (typeof config === 'number') return config
  const ask = <T extends { readonly site: string }>(path: string, is: (value: unknown) => value is T) =>
    askSite(config, { path, is })
  const answers = await Promise.all([
    ask('/api/status', naming<StatusSaid>('since')),
    ask('/api/relays', naming<RelaysSaid>('lines')),
    ask('/api/light', naming<LightSaid>('sources')),
    ask('/api/wallet', naming<WalletSaid>('account')),
    ask('/api/deals', naming<DealsSaid>('deals')),
  ])
  for (const answer of answers) {
    if (!('exit' in answer)) continue
    const { code, text, exit } = answer
    if (options.json) terminal.out(jsonLine({ ok: false, fault: { code, text } }))
    else terminal.err(`tieline status: ${text}\n`)
    return exit
  }
  const [status, relays, light, wallet, deals] = answers.map(answer =>
    'value' in answer ? answer.value : undefined,
  ) as [StatusSaid, RelaysSaid, LightSaid, WalletSaid, DealsSaid]
  const disk = await readDiskSpace(config.data)
  const standing: Standing = { status, relays, light, wallet, deals, disk: disk.ok ? disk.value : undefined }
  const ok = isHealthy(standing)
  if (options.json) terminal.out(jsonLine({ ok, ...asJson(standing) }))
  else terminal.out(statusText(standing, ok))
  return ok ? EXIT.ok : EXIT.no
}

const isLow = (disk: DiskSpace | undefined): boolean => disk !== undefined && disk.freeBytes < LITTLE_BYTES

const isHealthy = ({ status: { meters, health }, disk }: Standing): boolean =>
  !isLow(disk) && meters.every(({ stale }) => !stale) && health.every(({ level }) => level === 'info')

const isOpen = ({ state }: DealsSaid['deals'][number]): boolean => !ENDED.has(state)
/** States in which nothing of a deal is left to do, but for a fee that may still come back. */
const ENDED: ReadonlySet<string> = new Set(['settled', 'refunded', 'aborted', 'expired'])

const asJson = ({ status, relays, light, wallet, deals, disk }: Standing): object => ({
  ...status,
  relays: { manual: relays.manual, lines: relays.lines, welds: relays.welds },
  ...{ light, wallet, deals: deals.deals.filter(isOpen) },
  ...(disk === undefined ? {} : { disk }),
})

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`

function statusText({ status, relays, light, wallet, deals, disk }: Standing, ok: boolean): string {
  const { head } = light
  const { meters, health, wear, time } = status
  const open = deals.deals.filter(isOpen)
  const brokers = health.find(({ code }) => code === 'brokers')
  const lines = [
    `${status.site} ${ok ? 'is well' : 'needs an eye'}: tieline ${status.version}, boot ${status.boot}, since ${isoTime(instant(status.since))} (${duration(time - status.since)})`,
    ...health.map(({ code, text, since, level }) => `  ${level}  ${code}: ${text}, for ${duration(time - since)}`),
    'meters',
    ...meters.map(
      ({ name, speaks, ageMs, stale, values }) =>
        `  ${name} (${speaks}): ${stale ? 'no reading now' : `${values.map(({ label, text }) => `${label} ${text}`).join(', ')}; ${duration(ageMs ?? 0)} old`}`,
    ),
    ...(relays.lines.length === 0 ? [] : [relays.manual ? 'contacts, taken over by hand' : 'contacts']),
    ...relays.lines.flatMap(({ contacts }) =>
      contacts.map(
        ({ contact, commanded, observed, because, trouble }) =>
          `  ${contact}: commanded ${commanded}, seen ${observed}${trouble === undefined ? (because[0] === undefined ? '' : ` (${because[0].text})`) : `; ${trouble.text}`}`,
      ),
    ),
    ...(light.trust === undefined
      ? ['ledger    none is configured: nothing is traded']
      : [
          `ledger    ${light.chain}: ${light.state}${head === undefined ? ', no header yet' : `, height ${head.height}, ${duration(head.ageMs)} old`}`,
          `brokers   ${brokers === undefined ? 'reached' : brokers.text}`,
          `wallet    ${wallet.balanceMicro === undefined ? 'not proven yet' : `${coins(wallet.balanceMicro)}, and ${coins(wallet.lockedMicro)} locked`}`,
          `deals     ${open.length === 0 ? 'none open' : open.map(({ id, state, peer }) => `${id.slice(0, 8)} with ${peer} ${state}`).join(', ')}`,
        ]),
    disk === undefined
      ? 'disk      not known'
      : `disk      ${mebibytes(disk.freeBytes)} of ${mebibytes(disk.totalBytes)} free${isLow(disk) ? ', which is little' : ''}${wear === undefined ? '' : `; ${mebibytes(wear.perDay)} a day are written`}`,
  ]
  return lines.map(line => `${line}\n`).join('')
}

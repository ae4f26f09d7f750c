/** `tieline doctor`: looks at everything that a site needs, changes nothing, and says what to do. */
import { readFileFacts, readUnit, readValidity, releasesGpio, tryPort } from '../../../drivers/process/machine.ts'
import { openFolder } from '../../../drivers/store/disk.ts'
import { readDiskSpace } from '../../../drivers/store/disk-space.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { openSystemQuality } from '../../../drivers/time-quality.ts'
import { type Fault, fail } from '../../../protocol/result.ts'
import { readTls } from '../../broker-tls.ts'
import type { BrokerTlsConfig } from '../../config/publish-config.ts'
import type { KeyPlace, SiteConfig } from '../../config/site-config.ts'
import { openKey } from '../../open-keys.ts'
import type { StatusSaid } from '../../web/site-routes.ts'
import { systemWorld, type World } from '../../world.ts'
import { askSite, naming } from '../ask-agent.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { askLedger } from './ask-ledger.ts'
import { decide, type Facts, type Finding } from './decide.ts'

export interface DoctorOptions {
  readonly config: string
  readonly json?: true
}

/** A broker or node that answers at all does within this. */
const PATIENCE_MS = 5000

/** With `json`: {ok, findings: [{what, verdict, text, hint}]}; exits with 1 where anything fails. */
export async function doctor(options: DoctorOptions, terminal: Terminal): Promise<ExitCode> {
  const config = await readSite(options.config, terminal)
  if (typeof config === 'number') return config
  const findings: readonly Finding[] = [
    { what: 'configuration', verdict: 'pass', text: `${options.config}: ${config.site} (${config.role})` },
    ...decide(await gather(config)),
  ]
  const ok = findings.every(({ verdict }) => verdict !== 'fail')
  if (options.json) terminal.out(jsonLine({ ok, findings }))
  else for (const finding of findings) terminal.out(findingText(finding))
  return ok ? EXIT.ok : EXIT.no
}

const findingText = ({ what, verdict, text, hint }: Finding): string =>
  `${verdict}  ${what}: ${text}${hint === undefined ? '' : `\n      ${hint}`}\n`

async function gather(config: SiteConfig): Promise<Facts> {
  const { quality } = await openSystemQuality()
  const world = systemWorld(
    config,
    () => {},
    quality,
    async () => fail({ code: 'keys.no-passphrase' }),
  )
  const { page, data, ledger } = config
  const status = await askSite(config, { path: '/api/status', is: naming<StatusSaid>('since') })
  const running = 'value' in status
  const disk = await readDiskSpace(data)
  const tls = [config.brokerTls, config.publish?.tls].flatMap(one => (one === undefined ? [] : [one.ca, one.cert]))
  const usesGpio = Object.values(config.relays).some(({ driver }) => driver === 'gpio')
  return {
    now: world.clock.now(),
    node: process.versions.node,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    timeQuality: quality(),
    running,
    secrets: await Promise.all(
      secretFiles(config).map(async ([what, file]) => ({ what, file, is: await readFileFacts(file) })),
    ),
    data: { folder: data, is: await readFileFacts(data) },
    disk: disk.ok ? disk.value : undefined,
    wearPerDay: running ? status.value.wear?.perDay : undefined,
    devices: await Promise.all(
      serialLines(config).map(async ([line, path]) => ({ line, path, is: await readFileFacts(path) })),
    ),
    page: page.off
      ? undefined
      : {
          ...{ host: page.host, port: page.port, state: await tryPort(page.host, page.port) },
          guarded: page.passwordFile !== undefined || page.tokenFile !== undefined,
        },
    releasesGpio: usesGpio ? await releasesGpio() : undefined,
    unit: await readUnit('tieline.service'),
    brokers: await Promise.all(
      brokersOf(config).map(async ([url, tls]) => ({
        url: withoutLogin(url),
        fault: await tryBroker(url, tls, world),
      })),
    ),
    ledger: ledger && (await askLedger(ledger, world.openLedger)),
    certificates: await Promise.all(
      [...new Set(tls.filter(file => file !== undefined))].map(async file => ({
        file,
        valid: await readValidity(file),
      })),
    ),
    journal: await readJournal(data),
    ...(await tryKeys(config, world)),
  }
}

/** Each with the files that it is known by; those of `mqtt` have their own where it says so. */
function brokersOf({
  brokers,
  brokerTls,
  publish,
}: SiteConfig): readonly (readonly [string, BrokerTlsConfig | undefined])[] {
  const own = publish?.brokers ?? (publish?.tls === undefined ? [] : brokers)
  return [
    ...brokers.map(url => [url, brokerTls] as const),
    ...own.map(url => [url, publish?.tls ?? (publish?.brokers === undefined ? brokerTls : undefined)] as const),
  ]
}

/** A password may stand in an address. */
function withoutLogin(address: string): string {
  const url = new URL(address)
  return `${url.protocol}//${url.host}`
}

function secretFiles({
  keys,
  page,
  brokerTls,
  publish,
}: SiteConfig): readonly (readonly [what: string, file: string])[] {
  const places =
    keys.kind === 'seed'
      ? []
      : [
          ['account key', keys.account],
          ['sealing key', keys.sealing],
          ...(keys.metering.kind === 'file' ? [['metering key', keys.metering.file]] : []),
          ...(keys.ocmf?.kind === 'file' ? [['OCMF key', keys.ocmf.file]] : []),
          ...[keys.metering, keys.ocmf].flatMap(place => (place === undefined ? [] : [secretOf(place)])),
          ['passphrase', keys.passphraseFile],
        ]
  const others = [
    ['password', page.passwordFile],
    ['tokens', page.tokenFile],
    ['broker key', brokerTls?.key],
    ['publishing key', publish?.tls?.key],
  ]
  return [...places, ...others].flatMap(([what, file]) => (file === undefined ? [] : [[what!, file] as const]))
}

const secretOf = (place: KeyPlace): readonly [string, string | undefined] =>
  place.kind === 'pkcs11'
    ? ['PIN', place.pinFile]
    : ['TPM authorization', place.kind === 'tpm' ? place.authFile : undefined]

const serialLines = ({ lines }: SiteConfig): readonly (readonly [line: string, path: string])[] =>
  Object.entries(lines).flatMap(([name, line]) => (line.kind === 'serial' ? [[name, line.path] as const] : []))

async function tryBroker(url: string, files: BrokerTlsConfig | undefined, world: World): Promise<Fault | undefined> {
  const tls = files === undefined ? undefined : await readTls(files)
  if (tls?.ok === false) return tls.fault
  const late = world.timers.sleep(PATIENCE_MS).then(() => fail({ code: 'bus.no-answer', waitedMs: PATIENCE_MS }))
  const bus = await Promise.race([world.openBus([url], tls === undefined ? {} : { tls: tls.value }), late])
  if (!bus.ok) return bus.fault
  const { up } = bus.value.health()
  await bus.value.close()
  return up > 0 ? undefined : { code: 'bus.none-up', of: 1 }
}

async function readJournal(data: string): Promise<Facts['journal']> {
  const folder = await openFolder(`${data}/journal`)
  if (!folder.ok) return folder.fault.code === 'disk.missing' ? undefined : { fault: folder.fault }
  const reader = await openJournalReader(folder.value)
  if (!reader.ok) return { fault: reader.fault }
  return { found: { records: reader.value.head.records, cuts: reader.value.cuts.length } }
}

/**
 * Sealed files with the passphrase's file only: nobody is asked. A token is given its PIN once at the most: one that says that a
 * wrong one was given before is given none.
 */
async function tryKeys({ keys }: SiteConfig, world: World): Promise<Pick<Facts, 'keys' | 'stored'>> {
  if (keys.kind === 'seed') return { keys: 'open', stored: [] }
  const places = { 'metering key': keys.metering, ...(keys.ocmf === undefined ? {} : { 'OCMF key': keys.ocmf }) }
  const passphrase = async () => fail({ code: 'keys.no-passphrase' })
  const stored: Facts['stored'][number][] = []
  for (const [what, place] of Object.entries(places)) {
    if (place.kind === 'file') continue
    const opened = await openKey(place, { ...world, passphrase })
    if (opened.ok) await opened.value.close()
    const where =
      place.kind === 'tpm' ? `${place.device}, ${place.handle.toString(16)}` : `${place.key} in ${place.token}`
    stored.push({ what, where, fault: opened.ok ? undefined : opened.fault })
  }
  if (keys.passphraseFile === undefined || stored.some(({ fault }) => fault !== undefined))
    return { keys: undefined, stored }
  const opened = await world.openKeys(keys)
  if (!opened.ok) return { keys: opened.fault, stored }
  await opened.value.close?.()
  return { keys: 'open', stored }
}

/**
 * What others are told of a site's keys, as the command that they are to run: its neighbours by `--peer`, the operators of its
 * ledgers by `--enrol`.
 */
import { toHex } from '../../../protocol/bytes.ts'
import { fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import type { SiteConfig } from '../../config/site-config.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { shellWord } from '../init/shell-word.ts'
import { jsonLine } from '../json-line.ts'
import { readOnce, siteTarget } from '../meters/read.ts'
import type { Terminal } from '../terminal.ts'
import type { KeyEntry } from './key-report.ts'
import { lookAtKeys, readKeySite } from './key-site.ts'

/** Where a ledger is that is asked over a broker, its operator knows. */
const USUAL_NODE = 'http://127.0.0.1:26657'

/** What a site of this role needs on its ledgers beside an account. */
const LEDGER_ROLES: Readonly<Partial<Record<SiteConfig['role'], readonly string[]>>> = {
  distributor: ['distributor', 'aggregator'],
  storage: ['storage', 'issuer'],
  community: ['community'],
  regulator: ['regulator'],
}

export type Told = 'peer' | 'enrol'

export async function tellOthers(
  file: string,
  told: Told,
  { json, insist }: { readonly json: boolean; readonly insist: boolean },
  terminal: Terminal,
): Promise<ExitCode> {
  const site = await readKeySite(file, terminal, { insist })
  if (typeof site === 'number') return site
  const entries = await lookAtKeys(site)
  const keys = { account: keyOf(entries, 'account'), metering: keyOf(entries, 'metering') }
  const sealing = keyOf(entries, 'sealing')
  for (const key of [keys.account, keys.metering, sealing])
    if (!key.ok) {
      terminal.err(`tieline key show: ${faultLine(key.fault)}\n`)
      return exitOf(key.fault)
    }
  if (!keys.account.ok || !keys.metering.ok || !sealing.ok) return EXIT.no
  const [account, metering] = [keys.account.value, keys.metering.value]
  const say = (commands: readonly string[]): ExitCode => {
    terminal.out(json ? jsonLine({ ok: true, commands }) : commands.map(command => `${command}\n`).join(''))
    return EXIT.ok
  }
  if (told === 'peer')
    return say([
      `tieline peer ${site.config.site} --account ${account} --sealing ${sealing.value} --metering ${metering}`,
    ])
  const meters = await metersOf(site.config)
  if (!meters.ok) {
    terminal.err(`tieline key show: ${faultLine(meters.fault)}\n`)
    return EXIT.unavailable
  }
  return say(enrolments(site.config, account, metering, meters.value))
}

function keyOf(entries: readonly KeyEntry[], use: KeyEntry['use']): Result<string> {
  const entry = entries.find(one => one.use === use)
  if (entry === undefined) return fail({ code: 'keys.missing', use })
  if (entry.kind === 'unopened') return fail(entry.fault)
  return ok(toHex(entry.kind === 'sealing' ? entry.publicKey : entry.key.signer.publicKey))
}

interface Standing {
  readonly serial: string
  readonly line: string
}

/** Meters by which something is traded, and where each stands; one whose serial is not configured is read. */
async function metersOf(config: SiteConfig): Promise<Result<readonly Standing[]>> {
  const places = new Map(config.directLines.map(({ meter, id }) => [meter, id]))
  if (config.grid !== undefined) places.set(config.grid.meter, config.grid.node)
  const standing: Standing[] = []
  for (const [name, line] of places) {
    const configured = config.meters[name]?.id
    const read = configured === undefined ? await readOnce(siteTarget(config, name)!) : undefined
    if (read?.ok === false) {
      const hint = `write its serial under meters.${name} as id, or let it be read`
      return fail({ ...read.fault, meter: name, hint })
    }
    standing.push({ serial: configured ?? read!.value.meterId, line })
  }
  return ok(standing)
}

/** One command for each ledger. Readings are of the one where energy is paid. */
function enrolments(config: SiteConfig, account: string, metering: string, meters: readonly Standing[]): string[] {
  const roles = [...(LEDGER_ROLES[config.role] ?? []), ...(config.mint === undefined ? [] : ['mint'])]
  const command = (primary: string | undefined, standing: readonly Standing[]) =>
    [
      `tieline-ledger enrol ${primary?.startsWith('http') ? primary : USUAL_NODE} --account ${account}`,
      ...standing.map(({ serial, line }) => `--meter ${shellWord(`${serial}:${line}:${account}:${metering}`)}`),
      ...roles.map(role => `--role ${role}:${account}`),
    ].join(' ')
  return [
    command(config.ledger?.primary, meters),
    ...(config.distribution === undefined ? [] : [command(config.distribution.primary, [])]),
  ]
}

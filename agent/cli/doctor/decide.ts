/** What a site's facts mean: for each thing looked at, whether it is well, and what to do where not. Pure. */
import type { FileFacts } from '../../../drivers/process/machine.ts'
import type { DiskSpace } from '../../../drivers/store/disk-space.ts'
import { type Fault, faultLine } from '../../../protocol/result.ts'
import { type Instant, instant, isoTime, type TimeQuality } from '../../../protocol/time.ts'

/** What was found of one thing, or why it could not be. */
export type Looked<T> = { readonly found: T } | { readonly fault: Fault }

export interface Facts {
  readonly now: Instant
  readonly node: string
  readonly timeZone: string
  readonly timeQuality: TimeQuality
  /** The agent answers. */
  readonly running: boolean
  /** Files that only their owner may read. */
  readonly secrets: readonly { readonly what: string; readonly file: string; readonly is: FileFacts | undefined }[]
  readonly data: { readonly folder: string; readonly is: FileFacts | undefined }
  readonly disk: DiskSpace | undefined
  /** Bytes a day, as the running agent counts them. */
  readonly wearPerDay: number | undefined
  readonly devices: readonly { readonly line: string; readonly path: string; readonly is: FileFacts | undefined }[]
  /** `free`, or the system's word for why not; undefined where the page is off. */
  readonly page:
    | { readonly host: string; readonly port: number; readonly state: string; readonly guarded: boolean }
    | undefined
  /** Undefined where no relay hangs at a GPIO line, or the kernel has no such switch. */
  readonly releasesGpio: boolean | undefined
  /** Undefined without systemd. */
  readonly unit: Readonly<Record<string, string>> | undefined
  readonly brokers: readonly { readonly url: string; readonly fault: Fault | undefined }[]
  readonly ledger: LedgerFacts | undefined
  readonly certificates: readonly {
    readonly file: string
    readonly valid: readonly { readonly subject: string; readonly from: number; readonly to: number }[] | undefined
  }[]
  /** Undefined where no agent has written one. */
  readonly journal: Looked<{ readonly records: number; readonly cuts: number }> | undefined
  /** Undefined where nobody is there to give a passphrase. */
  readonly keys: Fault | 'open' | undefined
  /** Keys in a token or a TPM, each opened as the agent would. */
  readonly stored: readonly { readonly what: string; readonly where: string; readonly fault: Fault | undefined }[]
}

export interface LedgerFacts {
  readonly chain: string
  /** The highest that all of its nodes have. */
  readonly height: bigint
  readonly nodes: readonly {
    readonly name: string
    /** `node` is what it calls itself. */
    readonly status: Looked<{ readonly chainId: string; readonly height: bigint; readonly node?: string }>
    /** The hash of its header at `height`, in hexadecimal digits. */
    readonly header?: Looked<string>
  }[]
  /** Sources that only the agent can ask. */
  readonly overBrokers: readonly string[]
}

export interface Finding {
  readonly what: string
  readonly verdict: 'pass' | 'warn' | 'fail'
  readonly text: string
  /** What to do. */
  readonly hint?: string
}

const NODE_LEAST = [20, 19] as const
const LITTLE_BYTES = 256 << 20
/** Half of what a consumer's card of 8 GB is good for in ten years: 3,000 writes of all of it. */
const WEAR_MOST = 3_000_000_000
const DAY_MS = 86_400_000
const SOON_MS = 30 * DAY_MS
/** Two nodes of a chain that makes a block a second, asked one after the other. */
const APART_BLOCKS = 20n

export function decide(facts: Facts): readonly Finding[] {
  const findings: Finding[] = []
  const say = (verdict: Finding['verdict']) => (what: string, text: string, hint?: string) =>
    void findings.push({ what, verdict, text, ...(hint === undefined ? {} : { hint }) })
  const [pass, warn, fail] = [say('pass'), say('warn'), say('fail')]

  const [major = 0, minor = 0] = facts.node.split('.').map(Number)
  const isNew = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1])
  if (isNew) pass('node', `Node ${facts.node}`)
  else fail('node', `Node ${facts.node}`, `install ${NODE_LEAST.join('.')} or later`)

  if (facts.timeQuality === 'synchronised') pass('clock', `synchronised, ${isoTime(facts.now)}`)
  else warn('clock', `${facts.timeQuality}: ${isoTime(facts.now)}`, 'start a time service: timedatectl set-ntp true')
  pass('time zone', facts.timeZone)

  const { folder, is } = facts.data
  if (is === undefined) warn('data', `${folder} is not there`, 'it is made at the first start')
  else if (is.kind !== 'folder' || !is.mayWrite)
    fail('data', `${folder} cannot be written`, 'give it to the user of the agent')
  else if ((is.mode & 0o077) !== 0) warn('data', `${folder} is open to others`, `chmod 700 ${folder}`)
  else pass('data', folder)

  for (const { what, file, is: secret } of facts.secrets) {
    if (secret === undefined)
      fail(what, `${file} is not there, or nobody may look`, 'put it there; tieline key init makes keys')
    else if (!secret.mayRead)
      fail(what, `${file} cannot be read by this user`, 'run as root, or as the user of the agent')
    else if ((secret.mode & 0o077) !== 0) fail(what, `${file} is open to others`, `chmod 600 ${file}`)
    else pass(what, file)
  }
  if (facts.keys === 'open') pass('keys', 'all can be opened')
  else if (facts.keys === undefined)
    warn('keys', 'not opened: no file names their passphrase', 'tieline key show opens them')
  else fail('keys', faultLine(facts.keys), 'tieline key show says which')

  for (const { what, where, fault } of facts.stored) {
    if (fault === undefined) pass(what, `${where} signs`)
    else fail(what, `${where}: ${faultLine(fault)}`, 'tieline key show says more; is it plugged in?')
  }
  judgeDisk(facts, { pass, warn, fail })

  for (const { line, path, is: device } of facts.devices) {
    const what = `line ${line}`
    if (device === undefined) fail(what, `${path} is not there`, 'plug it in; tieline detect lists what there is')
    else if (!device.mayRead || !device.mayWrite)
      fail(what, `${path} may not be opened by this user`, 'add the user to the group dialout, or ask as root')
    else pass(what, path)
  }
  if (facts.releasesGpio === true) pass('gpio', 'lines go back to rest when the agent dies')
  if (facts.releasesGpio === false)
    fail(
      'gpio',
      'an output stays driven after the agent dies',
      'dtparam=strict_gpiod in config.txt, then start the machine anew',
    )

  judgePage(facts, { pass, warn, fail })
  judgeUnit(facts, { pass, warn, fail })

  for (const { url, fault } of facts.brokers) {
    if (fault === undefined) pass('broker', url)
    else fail('broker', `${url}: ${faultLine(fault)}`, 'nothing is traded over a broker that cannot be reached')
  }
  judgeLedger(facts, { pass, warn, fail })

  for (const { file, valid } of facts.certificates) {
    if (valid === undefined || valid.length === 0)
      fail('certificate', `${file} holds none that can be read`, 'a certificate is PEM text')
    for (const { subject, from, to } of valid ?? []) {
      const until = `${file} (${subject}) until ${isoTime(instant(to))}`
      if (facts.now > to) fail('certificate', `${until}: it is over`, 'have a new one issued')
      else if (facts.now < from)
        fail('certificate', `${file} (${subject}) begins only at ${isoTime(instant(from))}`, 'is the clock right?')
      else if (to - facts.now < SOON_MS) warn('certificate', until, 'have a new one issued before')
      else pass('certificate', until)
    }
  }

  const { journal } = facts
  if (journal === undefined) warn('journal', 'none yet', 'it is made at the first start')
  else if ('fault' in journal) fail('journal', faultLine(journal.fault), 'tieline journal check says more')
  else
    pass(
      'journal',
      `${journal.found.records} records${journal.found.cuts === 0 ? '' : ', and a commit that the power cut short'}`,
    )
  return findings
}

type Say = Readonly<Record<Finding['verdict'], (what: string, text: string, hint?: string) => void>>

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`

function judgeDisk({ disk, wearPerDay }: Facts, { pass, warn, fail }: Say): void {
  if (disk !== undefined) {
    const text = `${mebibytes(disk.freeBytes)} of ${mebibytes(disk.totalBytes)} free`
    if (disk.freeBytes < LITTLE_BYTES / 4) fail('disk', text, 'free some space: what cannot be written is not measured')
    else if (disk.freeBytes < LITTLE_BYTES) warn('disk', text, 'free some space')
    else pass('disk', text)
  }
  if (wearPerDay === undefined) return
  const text = `${mebibytes(wearPerDay)} a day are written`
  if (wearPerDay > WEAR_MOST)
    warn('wear', text, 'read meters less often, or keep the data on something better than a card')
  else pass('wear', text)
}

function judgePage({ page, running }: Facts, { pass, warn, fail }: Say): void {
  if (page === undefined) return pass('page', 'off')
  const at = `${page.host}:${page.port}`
  if (page.state === 'free')
    warn('page', `${at} is free, and no agent answers`, 'start it: tieline run, or systemctl start tieline')
  else if (running) pass('page', `the agent answers at ${at}${page.guarded ? ', and asks who comes' : ''}`)
  else
    fail(
      'page',
      `${at} cannot be listened to (${page.state}), and no agent of this site answers`,
      'end the other program, or set page.listen',
    )
  const isLocal = /^(127\.|::1$|localhost$)/.test(page.host)
  if (!page.guarded && !isLocal) fail('page', `${at} is open to everybody`, 'set page.password_file or page.token_file')
}

function judgeUnit({ unit }: Facts, { pass, warn, fail }: Say): void {
  if (unit === undefined)
    return warn(
      'service',
      'no unit tieline here',
      'the Debian package brings one, which starts the agent anew when it dies',
    )
  const state = `${unit['ActiveState']} (${unit['SubState']}), started anew ${unit['NRestarts'] ?? 0} times`
  if (unit['ActiveState'] === 'active') pass('service', state)
  else if (unit['ActiveState'] === 'failed') fail('service', state, 'journalctl -u tieline -n 50 says why')
  else warn('service', state, 'systemctl start tieline')
  const watchdog = unit['WatchdogUSec'] ?? '0'
  if (/^(0|infinity)$/.test(watchdog)) fail('watchdog', 'nothing ends an agent that hangs', 'WatchdogSec in the unit')
  else pass('watchdog', watchdog)
}

function judgeLedger({ ledger }: Facts, { pass, warn, fail }: Say): void {
  if (ledger === undefined) return pass('ledger', 'none is configured: nothing is traded')
  const heights: bigint[] = []
  const names = new Map<string, string>()
  for (const { name, status } of ledger.nodes) {
    if ('fault' in status) fail('ledger', `${name}: ${faultLine(status.fault)}`, 'is the node up, and is the network?')
    else if (status.found.chainId !== ledger.chain)
      fail(
        'ledger',
        `${name} serves ${status.found.chainId}, not ${ledger.chain}`,
        'another chain: correct ledger.chain or the address',
      )
    else {
      heights.push(status.found.height)
      pass('ledger', `${name} at height ${status.found.height}`)
      const { node } = status.found
      const other = node === undefined ? undefined : names.get(node)
      if (other !== undefined)
        warn('ledger', `${name} says that it is the node behind ${other}`, 'a witness is another node, of other hands')
      else if (node !== undefined) names.set(node, name)
    }
  }
  judgeHeaders(ledger, { pass, warn, fail })
  for (const name of ledger.overBrokers) pass('ledger', `${name} is asked over the brokers, by the agent alone`)
  const [least, most] = [
    heights.reduce((a, b) => (a < b ? a : b), heights[0] ?? 0n),
    heights.reduce((a, b) => (a > b ? a : b), 0n),
  ]
  if (most - least > APART_BLOCKS)
    warn('ledger', `its nodes are ${most - least} blocks apart`, 'one of them does not keep up')
  if (ledger.nodes.length + ledger.overBrokers.length < 2)
    fail(
      'ledger',
      'no witness is configured',
      'without one nothing is believed: name another node under ledger.witnesses',
    )
}

/** Honest nodes of one chain have one header at a height. */
function judgeHeaders({ height, nodes }: LedgerFacts, { pass, warn, fail }: Say): void {
  const served = new Map<string, string[]>()
  for (const { name, header } of nodes) {
    if (header === undefined) continue
    if ('fault' in header)
      warn(
        'ledger',
        `${name} gives no header of height ${height}: ${faultLine(header.fault)}`,
        'is it still catching up?',
      )
    else served.set(header.found, [...(served.get(header.found) ?? []), name])
  }
  const told = [...served].map(([hash, names]) => `${hash.slice(0, 16)} of ${names.join(', ')}`)
  if (served.size > 1)
    fail(
      'ledger',
      `two headers at height ${height}: ${told.join('; ')}`,
      'one of these nodes lies, or the ledger has forked: tieline light says whom the agent believes',
    )
  else if ([...served.values()].some(names => names.length > 1)) pass('ledger', `one header at height ${height}`)
}

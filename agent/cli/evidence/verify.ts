/** `tieline verify`: what a piece of signed evidence proves, and every rule that it breaks. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { isFolder } from '../../../drivers/store/folder.ts'
import { type FileFault, readBytes } from '../../../drivers/text-file.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { parseKeyRecord } from '../../../protocol/identity/rotation.ts'
import type { Anchor } from '../../../protocol/light/verify.ts'
import { createReadingAudit } from '../../../protocol/reading/audit.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { verifyBsmSnapshot } from '../../../protocol/sunspec/bsm-snapshot.ts'
import { instant, isoTime } from '../../../protocol/time.ts'
import { oneLine } from '../../log.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { valueJson, valueText } from '../meters/meter-text.ts'
import { tellFile } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'
import { type EvidenceFile, readEvidence } from './evidence-file.ts'
import { readSigningKey } from './public-key.ts'
import { judgeChargingFile } from './verify-charging.ts'
import { judgeDealFile, readTrust } from './verify-deal.ts'
import { judgeJournal } from './verify-journal.ts'
import { auditVerdict, brokenBy, holds, NONE_BROKEN, type Verdict, verdictJson, verdictText } from './verify-report.ts'

export interface VerifyOptions {
  /** Public keys that may have signed, as they were typed. */
  readonly key: readonly string[]
  /** A file with heads that others kept, for a journal. */
  readonly head?: string
  /** Blocks that are known to be of their chains, for the records of a deal: `HEIGHT:HASH`, as they were typed. */
  readonly trust: readonly string[]
  readonly json?: true
}

export async function verify(file: string, options: VerifyOptions, terminal: Terminal): Promise<ExitCode> {
  const refuse = (fault: Fault): ExitCode => {
    if (options.json) terminal.out(jsonLine({ ok: false, file, fault }))
    terminal.err(`${oneLine(`tieline verify: ${file}: ${faultLine(fault)}`)}\n`)
    return isOfFolder(fault) ? exitOf(fault) : EXIT.no
  }
  const isJournal = await isFolder(file)
  if (options.head !== undefined && !isJournal)
    return misused('verify', '--head is for the folder of a journal', terminal)
  const trust: Anchor[] = []
  for (const typed of options.trust) {
    const read = readTrust(typed)
    if (!read.ok) return misused('verify', `--trust: ${faultLine(read.fault)}`, terminal)
    trust.push(read.value)
  }
  const verdict = isJournal ? await judgeFolder(file, options) : await judgeFile(file, options.key, trust)
  if (!verdict.ok) {
    const { fault } = verdict
    if (isFileFault(fault)) return tellFile(fault, 'tieline verify', terminal)
    return fault.code.startsWith('key.') ? misused('verify', `--key: ${faultLine(fault)}`, terminal) : refuse(fault)
  }
  if (options.json) terminal.out(jsonLine(verdictJson(file, verdict.value)))
  else terminal.out(verdictText(file, verdict.value, terminal))
  return holds(verdict.value) ? EXIT.ok : EXIT.no
}

/** What kept a journal from being looked at, and is no answer about it. */
const isOfFolder = ({ code }: Fault): boolean => /^disk\./.test(code) || /^journal\.(io|missing)$/.test(code)
const isFileFault = (fault: Fault): fault is FileFault => fault.code.startsWith('file.')

async function judgeFile(file: string, typed: readonly string[], trust: readonly Anchor[]): Promise<Result<Verdict>> {
  const read = await readBytes(file)
  if (!read.ok) return read
  const evidence = readEvidence(read.value)
  if (!evidence.ok) return evidence
  const found = evidence.value
  if (found.kind === 'charging') return judgeChargingFile(found.text, typed)
  if (found.kind === 'deal')
    return withKeys(typed, keys => judgeDealFile(found.text, keys, trust, createSystemTime().clock.now()))
  if (trust.length > 0) return fail({ code: 'verify.no-ledger', hint: '--trust is for the records of a deal' })
  return withKeys(typed, keys => judge(found, keys))
}

const judgeFolder = (folder: string, { key, head }: VerifyOptions): Promise<Result<Verdict>> =>
  withKeys(key, keys => judgeJournal(folder, keys, head))

async function withKeys(
  typed: readonly string[],
  judgeBy: (keys: readonly Uint8Array[]) => Result<Verdict> | Promise<Result<Verdict>>,
): Promise<Result<Verdict>> {
  const keys: Uint8Array[] = []
  for (const text of typed) {
    const key = readSigningKey(text)
    if (!key.ok) return key
    keys.push(key.value)
  }
  return judgeBy(keys)
}

type Ours = Exclude<EvidenceFile, { kind: 'charging' | 'deal' }>

function judge(evidence: Ours, keys: readonly Uint8Array[]): Result<Verdict> {
  if (evidence.kind === 'bsm-snapshot') return judgeSnapshot(evidence.bytes, keys)
  const keyRecords = evidence.envelopes.map(({ envelope }) => envelope).filter(each => parseKeyRecord(each).ok)
  const audit = createReadingAudit({ verifier: createVerifier(), ...(keys.length > 0 ? { keys } : {}), keyRecords })
  for (const { envelope, where } of evidence.envelopes) audit.add(envelope, where)
  return ok(auditVerdict('signed readings', audit.end(), evidence.broken))
}

/** A snapshot says of which meter it is, not with which key it was signed: that is on the meter, and must be named. */
function judgeSnapshot(bytes: Uint8Array, keys: readonly Uint8Array[]): Result<Verdict> {
  const what = 'snapshot of a BAUER BSM-WS36A'
  if (keys.length === 0) {
    return fail({
      code: 'verify.key-needed',
      hint: "name the meter's public key with --key; it is printed on the meter",
    })
  }
  const verifier = createVerifier()
  const tried = keys.map(key => ({ key, read: verifyBsmSnapshot(bytes, key, verifier) }))
  const found = tried.find(({ read }) => read.ok) ?? tried[0]!
  const { key, read } = found
  if (!read.ok) {
    return ok({ what, said: [], notes: [], broken: brokenBy('snapshot', read.fault), json: {} })
  }
  const { type, meterId, counter, operatingSeconds, epoch, values, meta } = read.value
  const time = epoch === undefined ? undefined : isoTime(instant(epoch * 1000))
  return ok({
    what,
    said: [
      `signed by ${toHex(key)}`,
      `meter ${meterId}, ${type}, number ${counter}, ${time ?? 'its clock was never set'}, ${operatingSeconds} s in operation`,
      ...values.map(value => `  ${value.obis}  ${valueText(value)}`),
      ...meta.filter(text => text !== '').map(text => `says: ${text}`),
    ],
    notes: [],
    broken: NONE_BROKEN,
    json: {
      signers: [{ key: toHex(key), expected: true }],
      snapshot: {
        type,
        meter: meterId,
        counter,
        operatingSeconds,
        time: time ?? null,
        values: values.map(valueJson),
        meta,
      },
    },
  })
}

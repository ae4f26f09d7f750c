/** A journal folder as evidence: its frames, what is signed in it, and whether it is as long as a head says. */
import { createEcdsaVerifier } from '../../../drivers/crypto/ecdsa.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { openFolder } from '../../../drivers/store/disk.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { surveyJournal } from '../../../drivers/store/journal-survey.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { algOfKey, ueidOf } from '../../../protocol/identity/key.ts'
import { judgeCharging } from '../../../protocol/ocmf/report.ts'
import { collectBroken, createReadingAudit } from '../../../protocol/reading/audit.ts'
import { ok, type Result } from '../../../protocol/result.ts'
import { asSignedTexts, type GivenOut, readGivenOut } from './journal-ocmf.ts'
import { readKeyRecords, visitSigned } from './journal-records.ts'
import { stationKey } from './public-key.ts'
import { holdAgainst, readHeads } from './verify-heads.ts'
import { auditVerdict, type Verdict } from './verify-report.ts'

/** `headFile` holds heads of it that others kept. */
export async function judgeJournal(
  folder: string,
  keys: readonly Uint8Array[],
  headFile?: string,
  tries = 3,
): Promise<Result<Verdict>> {
  const heads = headFile === undefined ? ok([]) : await readHeads(headFile, keys)
  if (!heads.ok) return heads
  const disk = await openFolder(folder)
  if (!disk.ok) return disk
  const survey = await surveyJournal(disk.value)
  if (!survey.ok) return survey
  const broken = collectBroken()
  for (const { segment, offset, bytes, reason } of survey.value.broken)
    broken.add(`${segment} byte ${offset}`, { code: 'journal.corrupt', bytes, reason })
  const given: GivenOut[] = []
  function takeGivenOut(bytes: Uint8Array, where: string): void {
    const record = readGivenOut(bytes)
    if (record === undefined) broken.add(where, { code: 'ocmf.unreadable', hint: 'an OCMF record that is none' })
    else given.push(record)
  }
  const reader = await openJournalReader(disk.value)
  const stated = reader.ok ? await readKeyRecords(reader.value) : reader
  const audit = createReadingAudit({
    verifier: createVerifier(),
    ...(keys.length > 0 ? { keys } : {}),
    keyRecords: stated.ok ? stated.value : [],
  })
  const visited = reader.ok
    ? await visitSigned(reader.value, ({ kind, bytes, where, carried }) => {
        // Of what was carried over from dropped segments only contexts are needed: what they stand for is not there.
        if (kind === 'ocmf' && !carried) takeGivenOut(bytes, where)
        if (kind === 'context' || (kind !== 'ocmf' && kind !== 'key' && !carried)) audit.add(bytes, where)
      })
    : reader
  // The agent that writes there dropped what was about to be read: what is left is as good, from its new beginning on.
  if (!visited.ok && visited.fault.code === 'journal.dropped-meanwhile')
    return tries > 1 ? judgeJournal(folder, keys, headFile, tries - 1) : visited
  // What the survey found is said once, and with every place.
  if (!visited.ok && broken.listed.length === 0) broken.add('journal', visited.fault)
  const { origin, segments, cuts, head } = survey.value
  const audited = audit.end()
  // A key that signs readings, or is the account's, was named for those: it says nothing against OCMF records.
  const isElsewhere = (key: Uint8Array) =>
    audited.signers.some(signer => equalBytes(signer.key, key)) ||
    (origin !== undefined && equalBytes(ueidOf(key), origin.owner))
  const stationKeys = keys.filter(key => algOfKey(key) === 'ES256' && !isElsewhere(key)).map(stationKey)
  const charging =
    stationKeys.length > 0 ? judgeCharging(asSignedTexts(given), stationKeys, createEcdsaVerifier()) : undefined
  for (const { records, broken: rules } of charging?.runs ?? [])
    for (const rule of rules) broken.add(placeOf(given, records, rule.record), rule)
  const against: string[] = []
  if (reader.ok) {
    for (const known of heads.value) {
      const held = await holdAgainst(reader.value, known)
      if (!held.ok) return held
      if (held.value.fault === undefined) against.push(held.value.said)
      else broken.add('end of the journal', held.value.fault)
    }
  }
  const verdict = auditVerdict('journal', audited, broken)
  const id = origin === undefined ? undefined : toHex(origin.id)
  const owner = origin === undefined ? undefined : toHex(origin.owner)
  return ok({
    ...verdict,
    said: [
      `journal ${id ?? 'without an origin'} of gateway ${owner ?? 'unknown'}: ${segments.length} segments, ${head?.records ?? 0} records`,
      ...(head === undefined ? [] : [`its last frame is ${head.sequence}, ${toHex(head.hash)}`]),
      ...against,
      ...(charging === undefined ? [] : [`${given.length} OCMF records judged`]),
      ...verdict.said,
    ],
    notes: [
      ...cuts.map(
        ({ segment, offset }) =>
          `a commit was cut short at segment ${segment} byte ${offset}; nothing in it was acknowledged`,
      ),
      ...(heads.value.length > 0 ? [] : ['records cut off the end show only against a head in other hands: --head']),
      ...(given.length > 0 && charging === undefined
        ? [`of ${given.length} OCMF records in it nothing is said: name the key that signs them with --key as well`]
        : []),
      ...verdict.notes,
    ],
    json: {
      journal: {
        id: id ?? null,
        owner: owner ?? null,
        segments: segments.length,
        records: head?.records ?? 0,
        head: head === undefined ? null : { sequence: Number(head.sequence), hash: toHex(head.hash) },
        cuts,
        heads: heads.value.length,
        ocmf: given.length,
      },
      ...verdict.json,
    },
  })
}

/** A rule counts records in its run, a run their places among all of the journal. */
function placeOf(given: readonly GivenOut[], records: readonly number[], record: number | undefined): string {
  const [first] = records
  const found = given[(record === undefined ? first! : records[record - 1]!) - 1]!
  return `OCMF ${found.page} of meter ${found.meter}`
}

/** Signed charging records of any station, as OCMF or ALFEN text or in the transparency software's XML. */
import { createEcdsaVerifier } from '../../drivers/crypto/ecdsa.ts'
import { readTransparencyXml } from '../../drivers/ocmf/transparency-xml.ts'
import { type ChargingRun, judgeCharging, splitSignedTexts } from '../../protocol/ocmf/report.ts'
import type { BrokenRule } from '../../protocol/ocmf/verdict.ts'
import { collectBroken } from '../../protocol/reading/audit.ts'
import { faultLine, ok, type Result } from '../../protocol/result.ts'
import { isoTime } from '../../protocol/time.ts'
import { valueText } from './meter-text.ts'
import type { Verdict } from './verify-report.ts'

/** `key` as it was typed; without one, the key that stands in the file. */
export function judgeChargingFile(text: string, key: string | undefined): Result<Verdict> {
  const entries = text.startsWith('<') ? readTransparencyXml(text) : splitSignedTexts(text)
  if (!entries.ok) return entries
  const { ok: holds, complete, runs } = judgeCharging(entries.value, key, createEcdsaVerifier())
  const broken = collectBroken()
  for (const run of runs) for (const fault of run.broken) broken.add(placeOf(run, fault), fault)
  return ok({
    what: `signed charging records (${[...new Set(runs.map(({ format }) => format))].join(', ')})`,
    said: runs.flatMap(runText),
    notes: [
      ...runs.flatMap(run => run.notes.map(note => `${placeOf(run, note)}: ${faultLine(note)}`)),
      ...(runs.some(({ keyFrom }) => keyFrom === 'file')
        ? ["the key stands in the file itself: compare it with the station's label, or name that with --key"]
        : []),
      ...(holds && !complete ? ['not every transaction is whole: no energy can be billed of those'] : []),
    ],
    broken,
    json: { complete, runs: runs.map(({ broken: _, notes: __, ...run }) => run) },
  })
}

/** `record` of a rule counts in its run; a reader counts in the file. */
function placeOf({ records }: ChargingRun, { record }: BrokenRule): string {
  return record === undefined ? `records ${records.join(', ')}` : `record ${records[record - 1] ?? record}`
}

function runText({ format, transaction, who, transactions }: ChargingRun): readonly string[] {
  const station = [
    ...(who?.gatewaySerial === undefined ? [] : [`station ${who.gatewaySerial}`]),
    ...(who?.meterSerial === undefined ? [] : [`meter ${who.meterSerial}`]),
  ]
  return [
    `${format}${transaction === undefined ? '' : ` transaction ${transaction}`}: ${
      who === undefined ? 'signed by nobody known' : `signed by ${who.fingerprint} (${who.curve})`
    }${station.length > 0 ? `, ${station.join(', ')}` : ''}`,
    ...transactions.flatMap(({ user, begin, end, energies }) => [
      `  ${begin === undefined ? '...' : isoTime(begin.at)} to ${end === undefined ? '...' : isoTime(end.at)}${user === undefined ? '' : `, user ${user}`}`,
      ...energies.map(
        energy =>
          `    ${energy.obis}  ${valueText(energy)}${energy.direction === undefined ? '' : ` ${energy.direction}`}`,
      ),
    ]),
  ]
}

/** What `tieline verify` found, as one JSON object and in words. Every kind of evidence answers in this form. */
import { toHex } from '../../../protocol/bytes.ts'
import type { Audit, AuditedMeter, AuditedSigner, BrokenList } from '../../../protocol/reading/audit.ts'
import { type Fault, faultLine } from '../../../protocol/result.ts'
import { findValue, type MeterValue } from '../../../protocol/telegram/obis.ts'
import { isoTime } from '../../../protocol/time.ts'
import { oneLine } from '../../log.ts'
import { valueJson, valueText } from '../meters/meter-text.ts'
import { paint, type Terminal } from '../terminal.ts'

export interface Verdict {
  /** As in `signed readings`. */
  readonly what: string
  /** One line each, of who, what and when. */
  readonly said: readonly string[]
  /** What a reader must know before relying on it, though no rule is broken. */
  readonly notes: readonly string[]
  readonly broken: BrokenList
  /** The same as `said` for programs. */
  readonly json: Readonly<Record<string, unknown>>
}

const countOf = ({ listed, unlisted }: BrokenList): number => listed.length + unlisted

export const holds = ({ broken }: Verdict): boolean => countOf(broken) === 0

/** A list of one. */
export const brokenBy = (where: string, fault: Fault): BrokenList => ({ listed: [{ where, fault }], unlisted: 0 })
export const NONE_BROKEN: BrokenList = { listed: [], unlisted: 0 }

export function verdictJson(file: string, verdict: Verdict): object {
  const { what, notes, broken, json } = verdict
  return {
    ok: holds(verdict),
    file,
    what,
    ...json,
    notes,
    broken: broken.listed.map(({ where, fault }) => ({ where, ...fault })),
    unlisted: broken.unlisted,
  }
}

export function verdictText(file: string, verdict: Verdict, { colour }: Pick<Terminal, 'colour'>): string {
  const { what, said, notes, broken } = verdict
  const count = countOf(broken)
  // What others wrote must not drive the terminal; our own colour does.
  const marked = (word: string, style: 'yellow' | 'red', text: string) =>
    `  ${paint(word, style, colour)}  ${oneLine(text)}`
  const lines = [
    oneLine(`${file}: ${what}`),
    ...said.map(line => oneLine(`  ${line}`)),
    ...notes.map(line => marked('note', 'yellow', line)),
    ...broken.listed.map(({ where, fault }) => marked('broken', 'red', `${where}: ${faultLine(fault)}`)),
    ...(broken.unlisted > 0 ? [`  and ${broken.unlisted} more`] : []),
    count === 0 ? 'every rule holds' : count === 1 ? '1 rule is broken' : `${count} rules are broken`,
  ]
  return lines.map(line => `${line}\n`).join('')
}

/** Nobody who finds a key inside the evidence knows whose it is. */
const UNVOUCHED = 'nobody has vouched for the key: compare it with the one you know, or name that with --key'

/** `before`: what was broken in the form, before anything signed was looked at. */
export function auditVerdict(what: string, audit: Audit, before: BrokenList): Verdict {
  const { signers, meters, events, heads, contexts } = audit
  const broken = {
    listed: [...before.listed, ...audit.broken.listed],
    unlisted: before.unlisted + audit.broken.unlisted,
  }
  const nothing = meters.length + events.length + heads.length + contexts + countOf(broken) === 0
  return {
    what,
    said: [
      ...signers.map(
        ({ key, trust = 'events alone', device }) => `signed by ${toHex(key)} (${trust}), gateway ${toHex(device)}`,
      ),
      ...meters.flatMap(meter => [
        meterText(meter),
        ...meter.last.map(value => `  ${counterText(findValue(meter.first, value.obis), value)}`),
      ]),
      ...events.map(
        ({ time, boot, what: { kind, ...details } }) => `${isoTime(time)} boot ${boot}: ${kind}${detailsText(details)}`,
      ),
      ...heads.map(
        ({ device, journal, sequence, hash, time }) =>
          `${isoTime(time)} head of journal ${toHex(journal)} of gateway ${toHex(device)}: frame ${sequence}, ${toHex(hash)}`,
      ),
    ],
    notes: [
      ...(signers.some(({ expected }) => !expected) ? [UNVOUCHED] : []),
      ...gatewaysOfSeveral(signers).map(
        device => `gateway ${device}: more than one key signed for it; each could have written what the other did not`,
      ),
      ...(heads.length > 0
        ? ['heads say how long a journal is: verify the journal itself, with this file as --head']
        : []),
    ],
    broken: nothing
      ? brokenBy('all of it', { code: 'verify.nothing', hint: 'it holds nothing that is signed' })
      : broken,
    json: {
      signers: signers.map(({ key, kid, device, trust, expected }) => ({
        key: toHex(key),
        kid: toHex(kid),
        device: toHex(device),
        trust: trust ?? null,
        expected,
      })),
      meters: meters.map(({ meterId, time, first, last, ...meter }) => ({
        meter: meterId,
        ...meter,
        from: isoTime(time[0]),
        to: isoTime(time[1]),
        registers: last.map(value => {
          const from = findValue(first, value.obis)
          return { obis: value.obis, first: from === undefined ? null : valueJson(from), last: valueJson(value) }
        }),
      })),
      events: events.map(({ time, boot, what }) => ({ time: isoTime(time), boot, ...hexed(what) })),
      heads: heads.map(head => ({ ...hexed(head), time: isoTime(head.time) })),
    },
  }
}

function gatewaysOfSeveral(signers: readonly AuditedSigner[]): readonly string[] {
  const keys = new Map<string, Set<string>>()
  for (const { device, key } of signers) {
    const name = toHex(device)
    keys.set(name, (keys.get(name) ?? new Set()).add(toHex(key)))
  }
  return [...keys].flatMap(([device, { size }]) => (size > 1 ? [device] : []))
}

function meterText({ meterId, page, readings, gaps, withErrors, sequence, time, quality }: AuditedMeter): string {
  const more = [...(gaps > 0 ? [counted(gaps, 'gap')] : []), ...(withErrors > 0 ? [`${withErrors} with errors`] : [])]
  return [
    `meter ${meterId} (${page}): ${counted(readings, 'reading')}`,
    ...more,
    `numbers ${sequence[0]} to ${sequence[1]}`,
    `${isoTime(time[0])} to ${isoTime(time[1])}`,
    `time ${quality}`,
  ].join(', ')
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

const counterText = (first: MeterValue | undefined, last: MeterValue): string =>
  first === undefined ? `${last.obis}  ${valueText(last)}` : `${last.obis}  ${valueText(first)} to ${valueText(last)}`

const hexed = (fields: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Uint8Array ? toHex(value) : value]),
  )

function detailsText(details: object): string {
  const parts = Object.entries(hexed(details)).map(([key, value]) => `${key}=${String(value)}`)
  return parts.length === 0 ? '' : ` (${parts.join(' ')})`
}

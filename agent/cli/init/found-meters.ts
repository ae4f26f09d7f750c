/** What `tieline detect` finds, as choices: each is what `tieline read` would be told. */

import { detect } from '../meters/detect.ts'
import type { Terminal } from '../terminal.ts'
import type { Choice } from './question.ts'

/** The speeds and forms that `tieline detect` tries unless it is told others. */
const SPEEDS = { baud: '9600,19200,115200,2400', format: '8N1' }

/** At one place, or on all serial devices of this machine. What goes wrong is told as it is found. */
export async function findMeters(place: string | undefined, terminal: Terminal): Promise<readonly Choice[]> {
  const lines: string[] = []
  const listening: Terminal = { ...terminal, out: text => void lines.push(...text.split('\n')) }
  const where = place === undefined ? {} : place.startsWith('/') ? { line: place } : { tcp: place }
  await detect({ ...SPEEDS, ...where, json: true }, listening, new Promise(() => {}))
  return lines.flatMap(text => (text === '' ? [] : choicesOf(JSON.parse(text) as Found)))
}

/** A line of `tieline detect --json`. */
interface Found {
  readonly ok: boolean
  readonly line?: string
  readonly tcp?: string
  readonly baud?: number
  readonly format?: string
  readonly framing?: string
  readonly unit?: number
  readonly models?: readonly number[]
  readonly pages?: readonly { readonly page: string; readonly certainty: string; readonly meter: string | null }[]
  readonly telegram?: string
  readonly meter?: string | null
  readonly encrypted?: boolean
}

function choicesOf(found: Found): readonly Choice[] {
  if (!found.ok) return []
  const { line, tcp, baud, format, framing, unit } = found
  const at = tcp === undefined ? `--line ${line} --baud ${baud} --format ${format}` : `--tcp ${tcp}`
  const shown = tcp ?? line ?? ''
  if (found.telegram !== undefined) {
    // Whose key is not there yet cannot be read.
    if (found.encrypted === true) return []
    const value = `--telegram ${found.telegram} ${at}${pinned(found.meter)}`
    return [{ value, label: `${found.meter ?? 'a meter'} speaks ${found.telegram}`, hint: shown }]
  }
  const framed = framing === (tcp === undefined ? 'rtu' : 'tcp') ? '' : ` --framing ${framing}`
  const flags = `${at}${framed} --unit ${unit}`
  const pages = (found.pages ?? []).map(({ page, certainty, meter }) => ({
    value: `--page ${page} ${flags}${pinned(meter)}`,
    label: `${page}, unit ${unit}${meter === null ? '' : `, serial ${meter}`}`,
    hint: `${certainty}; ${shown}`,
  }))
  const own = (found.models ?? []).length === 0 ? [] : [{ page: 'sunspec-meter', what: 'describes itself (SunSpec)' }]
  const sunspec = own.map(({ page, what }) => ({
    value: `--page ${page} ${flags}`,
    label: `unit ${unit} ${what}`,
    hint: shown,
  }))
  return [...sunspec, ...pages]
}

/** A meter that gives another serial from now on is refused. */
const pinned = (serial: string | null | undefined): string =>
  typeof serial === 'string' && /^[\x21-\x7e]{1,64}$/.test(serial) ? ` --id ${serial}` : ''

/**
 * What was heard and sent on a line, as text: a line of JSON that says which line it was, then one for each chunk of bytes.
 *
 *     {"tieline":"capture","version":1,"line":"/dev/ttyUSB0","baud":9600,"format":"8N1","started":"2026-11-23T02:42:50.000Z"}
 *     {"t":0,"dir":"tx","hex":"010400000002..."}
 *     {"t":31.25,"dir":"rx","hex":"010404..."}
 */
import { fromHex, toHex } from '../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'

export interface CaptureHeader {
  /** What a person calls the line: a device path or host:port. */
  readonly line: string
  /** 0 where the wire has no characters (TCP). */
  readonly baud: number
  /** Data bits, parity, stop bits: `8N1`. */
  readonly format: string
  /** ISO 8601, UTC: the moment of t = 0. */
  readonly started: string
}

export interface CapturedChunk {
  /** Milliseconds since the start. */
  readonly t: number
  /** As the gateway sees it: `rx` came from the device, `tx` was sent to it. */
  readonly dir: 'rx' | 'tx'
  readonly bytes: Uint8Array
}

export interface Capture {
  readonly header: CaptureHeader
  readonly chunks: readonly CapturedChunk[]
  /** Lines that hold no chunk: the last one where the recording was cut, others where somebody changed the file. */
  readonly faults: readonly Fault[]
}

const VERSION = 1

export const encodeHeader = ({ line, baud, format, started }: CaptureHeader): string =>
  `${JSON.stringify({ tieline: 'capture', version: VERSION, line, baud, format, started })}\n`

export const encodeChunk = ({ t, dir, bytes }: CapturedChunk): string =>
  `${JSON.stringify({ t, dir, hex: toHex(bytes) })}\n`

/** Reads a capture; a fault where the first line is no header of ours. */
export function parseCapture(text: string): Result<Capture> {
  const lines = text.split('\n')
  const header = headerOf(objectOf(lines[0]!))
  if (!header.ok) return header
  const chunks: CapturedChunk[] = []
  const faults: Fault[] = []
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue
    const chunk = chunkOf(objectOf(line))
    if (chunk !== undefined) chunks.push(chunk)
    else faults.push({ code: index === lines.length - 1 ? 'capture.cut' : 'capture.line', line: index + 1 })
  }
  return ok({ header: header.value, chunks, faults })
}

function objectOf(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    // JSON.parse says by throwing that this is none.
    return undefined
  }
}

function headerOf(found: Readonly<Record<string, unknown>> | undefined): Result<CaptureHeader> {
  if (found?.['tieline'] !== 'capture')
    return fail({
      code: 'capture.header',
      line: 1,
      hint: 'a capture begins with {"tieline":"capture","version":1,...}',
    })
  const { version, line, baud, format, started } = found
  if (version !== VERSION) return fail({ code: 'capture.version', expected: VERSION, received: String(version) })
  return typeof line === 'string' &&
    typeof baud === 'number' &&
    typeof format === 'string' &&
    typeof started === 'string'
    ? ok({ line, baud, format, started })
    : fail({ code: 'capture.header', line: 1, hint: 'line, baud, format and started belong into the first line' })
}

function chunkOf(found: Readonly<Record<string, unknown>> | undefined): CapturedChunk | undefined {
  const { t, dir, hex } = found ?? {}
  const bytes = typeof hex === 'string' ? fromHex(hex) : undefined
  if (typeof t !== 'number' || !(t >= 0) || (dir !== 'rx' && dir !== 'tx') || bytes === undefined) return undefined
  return { t, dir, bytes }
}

/** A recorded file as the bytes that were on the wire: as they are, as hex text, as a capture, or as text whose line ends an editor changed. */
import { parseCapture } from '../../../drivers/line/capture.ts'
import { concat, fromHex, fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'

/** Hex digits in pairs or rows with blanks, colons, commas or 0x between, and comments from `#` to the end of the line. */
function hexText(text: string): Uint8Array | undefined {
  const digits = text
    .replace(/#.*$/gm, '')
    .replace(/\b0x/gi, '')
    .replace(/[\s:,]+/g, '')
  return digits === '' ? undefined : fromHex(digits)
}

export interface Recording {
  readonly bytes: Uint8Array
  /** Lines of a capture that say nothing: the last one where it was cut. */
  readonly faults: readonly Fault[]
}

/**
 * The bytes of a recording; of a capture those that came from the device, or where `both` both directions in their order. Text
 * telegrams (P1, IEC 62056-21) end their lines with CR LF; where an editor has left LF alone it is put back, as is the end of
 * the last line: what the telegram's own checks say of it stands.
 */
export function readRecording(raw: Uint8Array, both: boolean): Result<Recording> {
  if (raw.length === 0) return fail({ code: 'decode.empty' })
  const text = fromUtf8(raw)
  if (text?.startsWith('{"tieline"')) {
    const capture = parseCapture(text)
    if (!capture.ok) return capture
    const { chunks, faults } = capture.value
    return ok({ bytes: concat(...chunks.filter(({ dir }) => both || dir === 'rx').map(({ bytes }) => bytes)), faults })
  }
  const bytes = wireBytes(raw, text)
  return bytes.ok ? ok({ bytes: bytes.value, faults: [] }) : bytes
}

function wireBytes(raw: Uint8Array, text: string | undefined): Result<Uint8Array> {
  if (text === undefined) return ok(raw)
  const hex = hexText(text)
  if (hex !== undefined) return ok(hex)
  // Beyond the characters of text (SOH to ACK among them, with which IEC 62056-21 frames it) it is binary after all.
  if (!raw.every(isOfText)) return ok(raw)
  const said = text.replace(/#.*$/gm, '').trim()
  if (said === '') return fail({ code: 'decode.empty' })
  // No telegram of text is made of hex digits alone.
  if (/^(0x|[\da-f\s:,])+$/i.test(said))
    return fail({ code: 'decode.odd-hex', hint: 'hex text has two digits a byte: one is missing or too many' })
  const lines = text.includes('\r') ? text : text.replaceAll('\n', '\r\n')
  // After an ETX comes its check character, and no end of a line.
  const whole = lines.endsWith('\n') || lines.includes('\u0003')
  return ok(utf8(whole ? lines : `${lines.replace(/\r$/, '')}\r\n`))
}

const isOfText = (byte: number): boolean =>
  (byte >= 0x20 && byte !== 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d || (byte >= 0x01 && byte <= 0x06)

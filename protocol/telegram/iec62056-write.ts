/** IEC 62056-21 messages as bytes: what a reader sends, and what a simulated meter says. */
import { utf8 } from '../bytes.ts'
import { type Parity, withEvenParity } from './iec62056.ts'

/** Text of 7-bit characters as the line carries it. */
export function onWire(text: string, parity: Parity): Uint8Array {
  const bytes = utf8(text)
  return parity === 'none' ? bytes : bytes.map(withEvenParity)
}

/** `/?!` CR LF asks whichever meter listens, `/?address!` CR LF one of several on a line (clause 6.3.1). */
export const requestText = (address = ''): string => `/?${address}!\r\n`

/** ACK, normal protocol, baud character, data readout (clause 6.3.3). */
export const acknowledgeText = (baudCharacter: string): string => `\x060${baudCharacter}0\r\n`

/** STX, the lines, "!", CR LF, ETX and their exclusive-or. */
export function dataMessageText(lines: readonly string[]): string {
  const inner = `${lines.join('\r\n')}\r\n!\r\n\x03`
  let bcc = 0
  for (let i = 0; i < inner.length; i++) bcc ^= inner.charCodeAt(i)
  return `\x02${inner}${String.fromCharCode(bcc)}`
}

/** Mode D: the identification, an empty line, the lines, "!". */
export const pushedText = (identification: string, lines: readonly string[]): string =>
  [`/${identification}`, '', ...lines, '!', ''].join('\r\n')

/** Records changed byte by byte: what is accepted may differ in nothing that is said. */
import type { EcdsaVerifier } from '../../../protocol/ocmf/key.ts'
import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { assert } from '../../harness.ts'

/** All that a verdict says, as text. */
export const meaningOf = (texts: readonly string[], key: string, verifier: EcdsaVerifier): string =>
  JSON.stringify(verifyOcmf(texts, key, verifier), (_, value) => (typeof value === 'bigint' ? `${value}n` : value))

/** Values that a byte takes in its place: a few that would tell, or all. */
const FEW = (byte: number): number[] => [byte ^ 1, byte ^ 0x20]
const ALL = (): number[] => Array.from({ length: 256 }, (_, value) => value)

/**
 * Changes each byte of a valid record in turn; says how many changes were tried. A changed record is not authentic, unless
 * the change is behind the second pipe and the verdict word for word the same: there a blank may become another, or the
 * name of a field that has its default a maker's.
 */
export function sweepBytes(
  record: string,
  key: string,
  verifier: EcdsaVerifier,
  extent: 'few' | 'all' = 'few',
): number {
  const bytes = Buffer.from(record)
  const behind = bytes.lastIndexOf('|')
  const meaning = meaningOf([record], key, verifier)
  const payload = parseOcmf(record).record!.payloadText
  let tried = 0
  for (const [i, byte] of bytes.entries()) {
    for (const other of extent === 'all' ? ALL() : FEW(byte)) {
      if (other === byte) continue
      bytes[i] = other
      const text = bytes.toString('utf8')
      tried++
      if (!verifyOcmf([text], key, verifier).authentic) continue
      assert.ok(i > behind, `byte ${i} is signed, yet ${byte} may be ${other}`)
      assert.is(parseOcmf(text).record!.payloadText, payload)
      assert.is(meaningOf([text], key, verifier), meaning, `byte ${i}: ${byte} to ${other}`)
    }
    bytes[i] = byte
  }
  return tried
}

/** A text with a few random changes: characters replaced, dropped, doubled, put in, or a stretch of another text. */
function mutate(text: string, other: string, random: () => number): string {
  let out = text
  for (let left = 1 + Math.floor(random() * 3); left > 0; left--) {
    const at = Math.floor(random() * out.length)
    const length = 1 + Math.floor(random() * 8)
    const from = Math.floor(random() * other.length)
    const put = [
      String.fromCharCode(32 + Math.floor(random() * 95)),
      '',
      out.slice(at, at + length).repeat(2),
      '{}[]",:|\\\n 0'[Math.floor(random() * 12)]!,
      other.slice(from, from + length),
      String.fromCharCode(Math.floor(random() * 65536)),
    ][Math.floor(random() * 6)]!
    out = out.slice(0, at) + put + out.slice(at + (put.length > 1 ? length : 1))
  }
  return out
}

/** Mutates valid records `times` times; none may throw, none be authentic and say something else. How many were taken. */
export function hammer(
  records: readonly { readonly text: string; readonly key: string }[],
  verifier: EcdsaVerifier,
  times: number,
  random: () => number,
): number {
  const meanings = records.map(({ text, key }) => meaningOf([text], key, verifier))
  let taken = 0
  for (let i = 0; i < times; i++) {
    const at = Math.floor(random() * records.length)
    const { text, key } = records[at]!
    const changed = mutate(text, records[Math.floor(random() * records.length)]!.text, random)
    if (!verifyOcmf([changed], key, verifier).authentic) continue
    taken++
    assert.is(meaningOf([changed], key, verifier), meanings[at], changed)
    assert.is(parseOcmf(changed).record!.payloadText, parseOcmf(text).record!.payloadText)
  }
  return taken
}

/**
 * The container in which drivers of electric cars are sent their signed records: the XML of the S.A.F.E. transparency
 * software (its XML_Format.md). The one file that knows saxes, which reads no external entity and expands none but the
 * five of XML; a DOCTYPE is refused all the same.
 *
 *     <values>
 *       <value transactionId="1" context="Transaction.Begin">
 *         <signedData format="OCMF" encoding="plain">OCMF|{...}|{...}</signedData>
 *         <publicKey encoding="hex">3059...</publicKey>
 *       </value>
 *     </values>
 */
import { SaxesParser } from 'saxes'
import { fromHex, fromUtf8 } from '../../protocol/bytes.ts'
import { fromBase64 } from '../../protocol/chain/base64.ts'
import type { SignedText } from '../../protocol/ocmf/report.ts'
import { shown } from '../../protocol/ocmf/values.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

/** `value` counts from 1. */
export type XmlFault =
  | { readonly code: 'xml.syntax'; readonly why: string }
  | { readonly code: 'xml.doctype'; readonly hint: string }
  | { readonly code: 'xml.too-long'; readonly length: number; readonly limit: number }
  | { readonly code: 'xml.too-deep'; readonly limit: number }
  | { readonly code: 'xml.too-many-values'; readonly limit: number }
  | { readonly code: 'xml.charset'; readonly found: string; readonly hint: string }
  | { readonly code: 'xml.root'; readonly found: string; readonly expected: string }
  | { readonly code: 'xml.misplaced'; readonly found: string; readonly expected: readonly string[] }
  | { readonly code: 'xml.no-values'; readonly expected: string }
  | { readonly code: 'xml.element-twice'; readonly value: number; readonly element: string }
  | { readonly code: 'xml.no-signed-data'; readonly value: number }
  | { readonly code: 'xml.encoding'; readonly value: number; readonly found: string; readonly known: readonly string[] }
  | { readonly code: 'xml.not-encoded'; readonly value: number; readonly encoding: string }

/** Longest file, in UTF-16 units: a day of a charger with a record a minute. */
const MAX_LENGTH = 8_388_608
const MAX_VALUES = 10_000
/** The container has three levels. */
const MAX_DEPTH = 16
/** Where each element of the container stands, and how its name may be written by mistake. */
const PLACES = ['values', 'values/value', 'values/value/signedData', 'values/value/publicKey']
const KNOWN = /^(?:.*:)?(?:values|value|signedData|publicKey)$/i
/** The parser looks for trouble between pieces. */
const PIECE = 65_536

interface Value {
  transaction?: string
  format: string
  encoding: string
  data?: string
  key?: string
}

/** A file of records, those of one `transaction` together as they come. Read back, it gives the same. */
export function writeTransparencyXml(records: readonly SignedText[]): string {
  const values = records.map(({ format, text, key, transaction }) =>
    [
      `  <value${transaction === undefined ? '' : ` transactionId="${escaped(transaction)}"`}>`,
      `    <signedData format="${escaped(format)}" encoding="plain">${escaped(text)}</signedData>`,
      ...(key === undefined ? [] : [`    <publicKey encoding="plain">${escaped(key)}</publicKey>`]),
      '  </value>',
    ].join('\n'),
  )
  return ['<?xml version="1.0" encoding="UTF-8"?>', '<values>', ...values, '</values>', ''].join('\n')
}

/** XML 1.0, 2.4; line ends and tabs as references, because a reader may normalise them and they are signed. */
const escaped = (text: string): string => text.replace(/[&<>"\r\n\t]/g, character => `&#${character.charCodeAt(0)};`)

/** The records of a file in its order, each with the key that stands beside it. Formats are not looked into. Cannot throw. */
export function readTransparencyXml(file: string): Result<readonly SignedText[], XmlFault> {
  // A byte order mark counts as a blank.
  const text = file.trimStart()
  if (text.length > MAX_LENGTH) return fail({ code: 'xml.too-long', length: text.length, limit: MAX_LENGTH })
  const values: Value[] = []
  const path: string[] = []
  let fault: XmlFault | undefined
  let collected: string | undefined
  const refuse = (found: XmlFault) => {
    fault ??= found
  }
  const parser = new SaxesParser<{ xmlns: false; position: false }>({ xmlns: false, position: false })
  parser.on('error', error => refuse({ code: 'xml.syntax', why: error.message.slice(0, 120) }))
  parser.on('doctype', () =>
    refuse({ code: 'xml.doctype', hint: 'a file with a DOCTYPE is not read: it could define its own words' }),
  )
  parser.on('xmldecl', ({ encoding = 'UTF-8' }) => {
    // The text was read as UTF-8: of another charset, letters outside of ASCII would be other bytes than those signed.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is asked for.
    if (!/^utf-?8$/i.test(encoding) && !/^[\x00-\x7f]*$/.test(text))
      refuse({ code: 'xml.charset', found: shown(encoding), hint: 'save the file as UTF-8' })
  })
  parser.on('opentag', ({ name, attributes }) => {
    if (fault !== undefined) return
    path.push(name)
    if (path.length > MAX_DEPTH) refuse({ code: 'xml.too-deep', limit: MAX_DEPTH })
    const at = path.join('/')
    // A reader would take for a record what stands elsewhere, or under a name written otherwise, and no verdict is on it.
    if (!PLACES.includes(at) && KNOWN.test(name)) refuse({ code: 'xml.misplaced', found: shown(at), expected: PLACES })
    if (path.length === 1 && name !== 'values') refuse({ code: 'xml.root', found: shown(name), expected: 'values' })
    else if (at === 'values/value') {
      if (values.length === MAX_VALUES) refuse({ code: 'xml.too-many-values', limit: MAX_VALUES })
      const transaction = attributes['transactionId']
      values.push({ format: '', encoding: 'plain', ...(transaction === undefined ? {} : { transaction }) })
    } else if (at === 'values/value/signedData' || at === 'values/value/publicKey') {
      const value = values.at(-1)!
      if (value[name === 'signedData' ? 'data' : 'key'] !== undefined)
        refuse({ code: 'xml.element-twice', value: values.length, element: name })
      if (name === 'signedData') {
        value.format = attributes['format'] ?? ''
        value.encoding = attributes['encoding'] ?? 'plain'
      }
      collected = ''
    }
  })
  const collect = (piece: string) => {
    // Text of an element within signedData would be part of what nobody signed.
    if (collected !== undefined && path.length === 3) collected += piece
  }
  parser.on('text', collect)
  parser.on('cdata', collect)
  parser.on('closetag', () => {
    if (fault !== undefined) return
    const at = path.join('/')
    const value = values.at(-1)
    if (at === 'values/value/signedData') value!.data = collected ?? ''
    if (at === 'values/value/publicKey') value!.key = collected ?? ''
    if (path.length === 3) collected = undefined
    path.pop()
  })
  for (let at = 0; at < text.length && fault === undefined; at += PIECE) parser.write(text.slice(at, at + PIECE))
  if (fault === undefined) parser.close()
  if (fault !== undefined) return fail(fault)
  if (values.length === 0) return fail({ code: 'xml.no-values', expected: 'values/value' })
  const entries: SignedText[] = []
  for (const [i, value] of values.entries()) {
    const entry = decodeValue(value, i + 1)
    if (!entry.ok) return entry
    entries.push(entry.value)
  }
  return ok(entries)
}

const ENCODINGS: ReadonlyMap<string, (text: string) => string | undefined> = new Map([
  ['plain', (text: string) => text],
  ['base64', (text: string) => textOf(fromBase64(text.replace(/\s+/g, '')))],
  ['hex', (text: string) => textOf(fromHex(text.replace(/\s+/g, '')))],
])

const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : fromUtf8(bytes)

/** Of the key the encoding is not looked at: how it is written shows. */
function decodeValue({ transaction, format, encoding, data, key }: Value, value: number): Result<SignedText, XmlFault> {
  if (data === undefined) return fail({ code: 'xml.no-signed-data', value })
  const decode = ENCODINGS.get(encoding.toLowerCase())
  if (decode === undefined)
    return fail({ code: 'xml.encoding', value, found: shown(encoding), known: [...ENCODINGS.keys()] })
  const text = decode(data)
  if (text === undefined) return fail({ code: 'xml.not-encoded', value, encoding })
  return ok({
    format: shown(format),
    text,
    ...(key === undefined ? {} : { key }),
    ...(transaction === undefined ? {} : { transaction: shown(transaction) }),
  })
}

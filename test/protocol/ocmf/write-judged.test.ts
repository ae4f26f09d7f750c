/** What we write, judged by others: another implementation, OpenSSL, and our own reader, which shares no code with the writer. */
import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import type { EcdsaVerifier } from '../../../protocol/ocmf/key.ts'
import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { type OcmfRecord, ocmfText, writeOcmfPayload } from '../../../protocol/ocmf/write.ts'
import { must } from '../../../protocol/result.ts'
import type { MeterValue } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { noOpenssl } from '../../programs.ts'
import { assertProperty, fc } from '../../property.ts'
import { anyReading, begin, end, inContext, record, signer, spki, station, textOf } from './sample.ts'

const test = suite('ocmf: what is written, judged by others')

/** CommonJS whose names an import does not see. */
const require = createRequire(import.meta.url)
const { Verifier } = require('@road-labs/ocmf') as typeof import('@road-labs/ocmf')
const { Crypto } = require('@road-labs/ocmf-crypto-noble') as typeof import('@road-labs/ocmf-crypto-noble')
const roadLabs = new Verifier(new Crypto())
const roadLabsKey = new Crypto().decodeEcPublicKey(spki, 'spki-der')

const accepted = async (text: string): Promise<boolean> => {
  try {
    return (await roadLabs.parseAndVerify(text, await roadLabsKey)).verified
  } catch {
    // It refuses a text that it cannot take apart by throwing.
    return false
  }
}

test('another implementation accepts it, with a user, attachments, either series and any text', async () => {
  const texts: Partial<OcmfRecord>[] = [
    {},
    {
      number: 2 ** 53 - 1,
      user: { level: 'TRUSTED', flags: ['OCPP_AUTH_TLS'], type: 'CENTRAL', id: 'ab|"\\\u0000é😀' },
    },
    { series: 'F', readings: [end], attached: [new Uint8Array(300).fill(0xfe), new Uint8Array(200)] },
    {
      station: {
        ...station,
        gateway: '|||',
        meterMaker: 'Zähler & Söhne',
        chargePoint: { type: 'EVSEID', id: 'DE*1' },
      },
    },
  ]
  for (const change of texts) {
    const text = textOf(change)
    assert.is(text.split('|').length, 3, text)
    assert.match(text, /^[\x20-\x7e]+$/)
    assert.ok(await accepted(text), text)
  }
  const told = JSON.parse(textOf(texts[1]).split('|')[1]!)
  assert.is(told.ID, 'ab|"\\\u0000é😀')
  assert.equal([told.IS, told.IL, told.IT, told.PG], [true, 'TRUSTED', 'CENTRAL', 'T9007199254740991'])
})

test.skipIf(noOpenssl, 'openssl on the command line accepts it, and not with another payload', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-ocmf-'))
  try {
    const file = (name: string, bytes: Uint8Array | string) => {
      writeFileSync(join(folder, name), bytes)
      return join(folder, name)
    }
    const [, payload, signature] = textOf().split('|')
    const key = file('key.der', spki)
    const sig = file('sig.der', fromHex(JSON.parse(signature!).SD)!)
    const verify = (data: string) =>
      execFileSync('openssl', ['dgst', '-sha256', '-verify', key, '-keyform', 'DER', '-signature', sig, data], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    assert.match(verify(file('payload', payload!)), /Verified OK/)
    assert.throws(() => verify(file('other', payload!.replace('12.012', '12.013'))))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('every single byte changed is refused by another implementation', async () => {
  const text = textOf({ series: 'F', readings: [end] })
  const [, payload, signature] = text.split('|')
  const payloadEnds = 5 + payload!.length
  // The signature section is not signed: its names, its blanks and the case of its digits may change. Its value may not.
  const digitsAt = payloadEnds + 1 + signature!.indexOf('"SD":"') + 6
  const digitsEnd = text.length - 2
  let refused = 0
  for (let i = 0; i < text.length; i++) {
    const inDigits = i >= digitsAt && i < digitsEnd
    if (i > payloadEnds && !inDigits) continue
    const now = text.charCodeAt(i)
    const other = inDigits ? (text[i] === '0' ? '1' : '0') : String.fromCharCode(now === 0x7e ? 0x20 : now + 1)
    const changed = text.slice(0, i) + other + text.slice(i + 1)
    if (await accepted(changed)) assert.unreachable(`at ${i}: ${changed}`)
    refused++
  }
  assert.is(refused, payloadEnds + 1 + digitsEnd - digitsAt)
  assert.ok(await accepted(text))
}, 60_000)

test('any readings are accepted by another implementation, and no digit of them is lost', async () => {
  const texts: { text: string; registers: readonly MeterValue[] }[] = []
  assertProperty(
    fc.property(anyReading, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (reading, number) => {
      const text = textOf({ series: 'F', number, readings: [inContext(reading)] })
      texts.push({ text, registers: reading.registers })
      const values = [...text.matchAll(/"RV":(-?)(\d+)(?:\.(\d+))?,/g)]
      assert.is(values.length, reading.registers.length)
      for (const [i, [, sign, whole, decimals = '']] of values.entries()) {
        const { value, scaler } = reading.registers[i]!
        // Both in 10^-12 kWh, worked out without the code under test.
        const told = BigInt(`${sign}${whole}${decimals.padEnd(12, '0')}`)
        assert.is(told, value * 10n ** BigInt(scaler + 9))
      }
    }),
    100,
  )
  for (const { text } of texts.slice(0, 40)) assert.ok(await accepted(text), text)
}, 60_000)

test('our own strict reader takes the same values out of any record', () => {
  assertProperty(
    fc.property(
      anyReading,
      fc.constantFrom('T', 'F'),
      fc.integer({ min: 1, max: 2 ** 53 - 1 }),
      (any, series, number) => {
        const { record, broken } = parseOcmf(textOf({ series, number, readings: [inContext(any)] }))
        assert.equal(broken, [])
        assert.equal(record!.page, { context: series, number: BigInt(number) })
        for (const [i, read] of record!.readings.entries()) {
          const { value, scaler } = any.registers[i]!
          const told = read.value!
          assert.is(told.value * 10n ** BigInt(told.scaler + 12), value * 10n ** BigInt(scaler + 9))
          // Digits are significant, and none is made up: where the meter counts in kWh or less, so does the record.
          if (scaler <= 3) assert.is(told.scaler, scaler - 3)
          assert.is(read.unit, 'kWh')
          assert.is(read.time.at, any.time)
          assert.is(read.time.quality, any.quality)
          assert.is(read.reason === undefined, series === 'F')
          assert.is(read.errors.includes('E'), any.errors.includes('energy'))
          assert.is(read.errors.includes('t'), any.errors.includes('time'))
        }
        assert.is(record!.readings.length, any.registers.length)
      },
    ),
  )
})

test('our own verifier says the energy of a transaction, and every broken rule where records are left out', () => {
  const verifier: EcdsaVerifier = {
    verify: (key, hash, message, signature) => {
      const opened = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' })
      return verify(hash, message, { key: opened, dsaEncoding: 'ieee-p1363' }, signature)
    },
  }
  const codes = (...texts: string[]) => verifyOcmf(texts, toHex(spki), verifier).broken.map(({ code }) => code)
  const whole = verifyOcmf([textOf()], toHex(spki), verifier)
  assert.equal([whole.broken, whole.notes, whole.complete], [[], [], true])
  const moved = new Map(
    whole.transactions[0]!.energies.map(({ obis, value, scaler }) => [obis, Number(value) * 10 ** scaler]),
  )
  assert.equal(
    [...moved],
    [
      ['01-00:B0.08.00*FF', 12_012],
      ['01-00:C0.08.00*FF', 0],
      ['01-00:B2.08.00*FF', 12_012],
    ],
  )
  const parts = [begin, end].map((reading, i) => textOf({ number: i + 1, readings: [reading] }))
  assert.equal(codes(...parts), [])
  assert.ok(codes(textOf({ number: 1 }), textOf({ number: 3 })).includes('ocmf.page-gap'))
  assert.ok(codes(textOf().replace('12.012', '12.013')).includes('ocmf.signature'))
  const flagged = inContext({ ...end.reading, errors: ['energy'] })
  assert.is(verifyOcmf([textOf({ readings: [begin, flagged] })], toHex(spki), verifier).complete, false)
})

test('the same record is the same payload, and its signature covers exactly the bytes between the bars', () => {
  const payload = must(writeOcmfPayload(record()))
  assert.is(must(writeOcmfPayload(record())), payload)
  const text = textOf()
  const between = utf8(text.slice(text.indexOf('|') + 1, text.lastIndexOf('|')))
  const digest = createHash('sha256').update(between).digest()
  const der = fromHex(JSON.parse(text.slice(text.lastIndexOf('|') + 1)).SD)!
  assert.ok(p256.verify(der, new Uint8Array(digest), signer.publicKey, { prehash: false, format: 'der' }))
})

test('signatures of every length of DER are written as another implementation reads them', async () => {
  const lengths = new Set<number>()
  for (let i = 0; lengths.size < 4 && i < 3000; i++) {
    const payload = must(writeOcmfPayload(record({ number: i + 1 })))
    const text = ocmfText(payload, signer.signNow(utf8(payload)))
    const size = JSON.parse(text.slice(text.lastIndexOf('|') + 1)).SD.length / 2
    if (lengths.has(size)) continue
    lengths.add(size)
    assert.ok(await accepted(text), `${size} bytes`)
  }
  assert.ok(lengths.has(70) && lengths.has(71) && lengths.has(69), [...lengths].join())
}, 60_000)

test.run()

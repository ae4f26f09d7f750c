import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createP256Signer } from '../../../drivers/crypto/signer.ts'
import { concat, fromHex, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import type { EcdsaVerifier } from '../../../protocol/ocmf/key.ts'
import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import {
  type OcmfRecord,
  ocmfPage,
  ocmfSession,
  ocmfText,
  type ReadingInContext,
  writeOcmfPayload,
} from '../../../protocol/ocmf/write.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { energies, firstReading, sampleContext } from '../reading/sample.ts'
import { anyReading, openssl } from './sample.ts'

const test = suite('ocmf: write')

/** CommonJS whose names an import does not see. */
const require = createRequire(import.meta.url)
const { Verifier } = require('@road-labs/ocmf') as typeof import('@road-labs/ocmf')
const { Crypto } = require('@road-labs/ocmf-crypto-noble') as typeof import('@road-labs/ocmf-crypto-noble')

const signer = createP256Signer(new Uint8Array(32).fill(3))
/** SubjectPublicKeyInfo of a P-256 key, the point not compressed (RFC 5480 section 2). */
const spki = concat(
  hex('3059301306072a8648ce3d020106082a8648ce3d030107034200'),
  p256.Point.fromBytes(signer.publicKey).toBytes(false),
)
const roadLabs = new Verifier(new Crypto())
const roadLabsKey = new Crypto().decodeEcPublicKey(spki, 'spki-der')

const station = { gateway: 'Tieline G1', current: 'AC' } as const
const contract = new Uint8Array(32).fill(0xc7)
const inContext = (reading: Partial<Reading>): ReadingInContext => ({
  reading: { ...firstReading(new Uint8Array(8).fill(1)), ...reading },
  context: sampleContext,
  hash: new Uint8Array(32).fill(reading.sequence ?? 1),
})
const session = { contract, line: 'L1', direction: 'import' } as const
const begin = inContext({ sequence: 5, reason: 'begin', session, registers: energies(123_456_789n, 98_765_432n) })
const end = inContext({
  sequence: 9,
  reason: 'end',
  session,
  time: instant(1_795_003_600_007),
  registers: energies(123_468_801n, 98_765_432n),
})

const record = (change: Partial<OcmfRecord> = {}): OcmfRecord => ({
  series: 'T',
  number: 1,
  readings: [begin, end],
  station,
  ...change,
})
const textOf = (change: Partial<OcmfRecord> = {}): string => {
  const payload = must(writeOcmfPayload(record(change)))
  return ocmfText(payload, signer.signNow(utf8(payload)))
}
const codeOf = (change: Partial<OcmfRecord>): string => {
  const payload = writeOcmfPayload(record(change))
  return payload.ok ? 'written' : 'reason' in payload.fault ? payload.fault.reason : payload.fault.code
}
const accepted = async (text: string): Promise<boolean> => {
  try {
    return (await roadLabs.parseAndVerify(text, await roadLabsKey)).verified
  } catch {
    // It refuses a text that it cannot take apart by throwing.
    return false
  }
}

test('the text of a transaction is this and no other', () => {
  const [head, payload, signature] = textOf().split('|')
  assert.is(head, 'OCMF')
  const both = (time: string, tx: string) => `{"TM":"${time} S","TX":"${tx}","RV":`
  const [at, till] = ['2026-11-18T11:06:40,000+0000', '2026-11-18T12:06:40,007+0000']
  assert.is(
    payload,
    [
      `{"FV":"1.4","GI":"Tieline G1","GS":"${toHex(sampleContext.device)}","GV":"${'5f'.repeat(32)}","PG":"T1",`,
      '"MM":"eastron-sdm630","MS":"19041234","IS":false,"IL":"NONE","IF":[],"IT":"NONE",',
      `"TT":"${'c7'.repeat(32)}","RD":[`,
      `${both(at, 'B')}123456.789,"RI":"01-00:B0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(at, 'B')}98765.432,"RI":"01-00:C0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(at, 'B')}0.000,"RI":"01-00:B2.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(till, 'E')}123468.801,"RI":"01-00:B0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(till, 'E')}98765.432,"RI":"01-00:C0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(till, 'E')}12.012,"RI":"01-00:B2.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"}],`,
      `"XR":["${'05'.repeat(32)}","${'09'.repeat(32)}"]}`,
    ].join(''),
  )
  assert.match(signature!, /^\{"SA":"ECDSA-secp256r1-SHA256","SD":"30[0-9A-F]{134,142}"\}$/)
})

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

test.skipIf(openssl.missing, 'openssl on the command line accepts it, and not with another payload', () => {
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

test('outside of a transaction there is no user, no reason and no register of a transaction', () => {
  const { RD, ...head } = JSON.parse(textOf({ series: 'F', number: 17, readings: [begin, end] }).split('|')[1]!)
  assert.is(head.PG, 'F17')
  for (const name of ['IS', 'IL', 'IF', 'IT', 'ID', 'TT']) assert.not.ok(name in head, name)
  for (const entry of RD) assert.not.ok('TX' in entry)
  assert.equal([...new Set(RD.map((entry: { RI: string }) => entry.RI))], ['01-00:B0.08.00*FF', '01-00:C0.08.00*FF'])
})

test('each reason, quality and error has its letter, and a gap has no value', () => {
  const one = (reading: Partial<Reading>, series: 'T' | 'F' = 'T') =>
    JSON.parse(textOf({ series, readings: [inContext(reading)] }).split('|')[1]!).RD[0]
  const letters = ['begin', 'periodic', 'exception', 'end', 'power-fail'] as const
  assert.is(letters.map(reason => one({ reason }).TX).join(''), 'BCXEP')
  const qualities = ['unknown', 'informative', 'synchronised', 'relative'] as const
  assert.is(qualities.map(quality => one({ quality }).TM.slice(-2)).join(''), ' U I S R')
  const flagged = [[], ['energy'], ['time'], ['energy', 'time']] as const
  assert.equal(
    flagged.map(errors => one({ errors })).map(({ EF, ST }) => `${EF}${ST}`),
    ['G', 'EF', 'tG', 'EtF'],
  )
  const gap = one({ reason: 'gap', registers: [] }, 'F')
  assert.equal(gap, { TM: '2026-11-18T11:06:40,000+0000 S', EF: '', ST: 'T' })
  assert.is(one({ time: instant(0), quality: 'unknown' }).TM, '1970-01-01T00:00:00,000+0000 U')
})

test('what the meter gives is told digit by digit, whatever the scaler', () => {
  const cases: [value: bigint, scaler: number, kWh: string][] = [
    [0n, 0, '0.000'],
    [1n, 0, '0.001'],
    [-1n, 0, '-0.001'],
    [1000n, 0, '1.000'],
    [123n, -1, '0.0123'],
    [5n, 3, '5'],
    [5n, 9, '5000000'],
    [-5n, 4, '-50'],
    [7n, -9, '0.000000000007'],
    [2n ** 63n - 1n, -9, '9223372.036854775807'],
    [-(2n ** 63n), 9, '-9223372036854775808000000'],
  ]
  for (const [value, scaler, kWh] of cases) {
    const registers: MeterValue[] = [{ obis: OBIS.energyImport, value, scaler, unit: 'Wh' }]
    assert.match(textOf({ series: 'F', readings: [inContext({ registers })] }), `"RV":${kWh},`)
  }
})

test('registers have the names of table 25 or their own in hexadecimal, and none has two', () => {
  const names = (...obis: string[]) => {
    const registers = obis.map(name => ({ obis: name, value: 1n, scaler: 0, unit: 'Wh' }) as const)
    const { RD } = JSON.parse(textOf({ series: 'F', readings: [inContext({ registers })] }).split('|')[1]!)
    return RD.map((entry: { RI: string }) => entry.RI).join(' ')
  }
  assert.is(names('1-0:1.8.0', '1-0:2.8.0'), '01-00:B0.08.00*FF 01-00:C0.08.00*FF')
  assert.is(names('1-0:1.8.1', '1-0:15.8.0', '0-1:24.2.1*7'), '01-00:01.08.01*FF 01-00:0F.08.00*FF 00-01:18.02.01*07')
  // 0xb3 is 179: a charger's meter that compensates for its cable has the table's registers itself.
  assert.is(names('1-0:176.8.0', '1-0:179.8.0'), '01-00:B0.08.00*FF 01-00:B3.08.00*FF')
  assert.is(names('1-0:1.8.0', '1-0:176.8.0'), '01-00:01.08.00*FF 01-00:B0.08.00*FF')
})

test('what a transaction moved is exact between two scalers, and in the direction that its deal is about', () => {
  const at = (value: bigint, scaler: number): MeterValue[] => [{ obis: OBIS.energyExport, value, scaler, unit: 'Wh' }]
  const exporting = { ...session, direction: 'export' } as const
  const from = inContext({ sequence: 1, reason: 'begin', session: exporting, registers: at(99_999n, -1) })
  const between = inContext({ sequence: 2, session: exporting, registers: at(10_000_000_001n, -6) })
  const to = inContext({ sequence: 3, reason: 'end', session: exporting, registers: at(12n, 3) })
  const { RD } = JSON.parse(textOf({ readings: [from, between, to] }).split('|')[1]!)
  const text = textOf({ readings: [from, between, to] })
  assert.is(RD.length, 6)
  for (const moved of ['0.0000', '0.000100001', '2.0001']) {
    assert.match(text, `"RV":${moved},"RI":"01-00:C2.08.00*FF"`)
  }
  assert.is(codeOf({ readings: [inContext({ ...from.reading, registers: at(13n, 3) }), to] }), 'ocmf.counter-fell')
  // Alone, a record of the begin or of the end holds nothing to take a difference from.
  for (const reading of [from, to]) assert.not.match(textOf({ readings: [reading] }), 'C2.08')
})

test('readings that do not belong together make no record', () => {
  const other = { ...session, contract: new Uint8Array(32).fill(1) }
  const { session: _, ...free } = end.reading
  const cases: [change: Partial<OcmfRecord>, code: string][] = [
    [{}, 'written'],
    [{ readings: [] }, 'there are none'],
    [{ readings: [end, begin] }, 'they are not in the order of their chain'],
    [{ readings: [begin, begin] }, 'they are not in the order of their chain'],
    [
      { readings: [begin, inContext({ ...end.reading, context: new Uint8Array(8) })] },
      'they were made in different contexts',
    ],
    [{ readings: [begin, inContext({ ...end.reading, session: other })] }, 'they are of different deals'],
    [{ readings: [begin, { ...end, reading: free }] }, 'they are of different deals'],
    [{ series: 'F', readings: [begin, { ...end, reading: free }] }, 'written'],
    [{ readings: [inContext({ reason: 'gap', registers: [] })] }, 'a gap is not part of a transaction'],
    [
      { readings: [inContext({ registers: [{ obis: OBIS.power, value: 5n, scaler: 0, unit: 'W' }] })] },
      'ocmf.no-energy',
    ],
  ]
  for (const [change, code] of cases) assert.is(codeOf(change), code)
  for (const number of [0, -1, 1.5, 2 ** 53]) assert.throws(() => textOf({ number }), /page number/)
})

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

test('a page and its meter are read back out of a text, and out of nothing else', () => {
  const meterId = 'a"|\\"PG":"F9"'
  const text = textOf({ number: 12, readings: [{ ...begin, context: { ...sampleContext, meterId } }] })
  assert.equal(ocmfPage(text), { series: 'T', number: 12, meterId })
  for (const other of ['', 'OCMF', 'OCMF||', 'OCMF|{}|{}', text.slice(1), text.replace('"T12"', '"X12"')]) {
    assert.is(ocmfPage(other), undefined, other)
  }
})

test('a session is one record, or two where a new context began in between, or none', () => {
  const restarted = inContext({ ...end.reading, context: new Uint8Array(8).fill(2) })
  const shape = (from: ReadingInContext, to: ReadingInContext) => {
    const records = ocmfSession(from, to)
    return records.ok ? records.value.map(one => one.length).join() : 'reason' in records.fault && records.fault.reason
  }
  assert.is(shape(begin, end), '2')
  assert.is(shape(begin, restarted), '1,1')
  assert.is(shape(begin, inContext({ ...end.reading, reason: 'power-fail' })), '2')
  assert.is(shape(end, end), 'the first is no begin')
  assert.is(shape(begin, begin), 'the last is no end')
  const of = (change: Partial<typeof sampleContext>) => ({ ...restarted, context: { ...sampleContext, ...change } })
  assert.is(shape(begin, of({ meterId: '2' })), 'they are of different meters')
  assert.is(shape(begin, of({ device: new Uint8Array(17) })), 'they are of different gateways')
  assert.is(shape(inContext({ ...begin.reading, sequence: 9 }), end), 'they are not in the order of their chain')
  const exported = inContext({ ...end.reading, session: { ...session, direction: 'export' } })
  assert.is(shape(begin, exported), 'they are of different deals')
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

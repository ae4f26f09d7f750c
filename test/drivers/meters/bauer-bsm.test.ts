import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { drainPromises } from '../../../drivers/drain.ts'
import { readBsmKey, takeBsmSnapshot } from '../../../drivers/meters/bauer-bsm-snapshots.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createModbusMeter } from '../../../drivers/meters/modbus-meter.ts'
import { createSunspecMeter } from '../../../drivers/meters/sunspec-meter.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, type ModbusBank, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { type SunspecModel, sunspecBank, sunspecText } from '../../../hw/sim/sunspec-image.ts'
import { hex } from '../../../protocol/bytes.ts'
import { nobleVerifier } from '../../../protocol/crypto/verify.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { findValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('BAUER BSM-WS36A')

const zeros = (count: number): number[] => Array.from({ length: count }, () => 0)

/** Registers from `at` on set to `content`, in a model of `count` registers. */
function words(count: number, at: Readonly<Record<number, readonly number[]>>): number[] {
  const all = zeros(count)
  for (const [offset, content] of Object.entries(at)) all.splice(Number(offset), content.length, ...content)
  return all
}

const wordsOf = (bytes: Uint8Array): number[] =>
  Array.from({ length: (bytes.length + 1) >> 1 }, (_, i) => (bytes[2 * i]! << 8) | (bytes[2 * i + 1] ?? 0))

/** OpenSSL's key pair: the meter's. */
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** What the maker's own description of the signature hashes, for a snapshot of zeros except those given. */
function signedSnapshot(imported: number, counter: number): number[] {
  const u32 = (value: number): string => value.toString(16).padStart(8, '0')
  const message = [
    `00000000 00ff 00000000 001e ${u32(imported)} 001e 00000000 001b`,
    '00000004 42534d31', // BSM1
    `${u32(counter)} 00ff 00000000 0007 00000000 0007 00000000 0006 00000000 00ff 00000000 0007`,
    '00000000 00ff 00000000 00ff 00000000 00000000 00000000 00000000 00ff',
  ].join(' ')
  const der = sign('sha256', hex(message), createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })))
  return words(252, {
    4: [imported >>> 16, imported & 0xffff],
    9: [0x4253, 0x4d31],
    17: [counter >>> 16, counter & 0xffff],
    202: [48, der.length],
    204: wordsOf(der),
  })
}

/** Models as the maker lists them: their places follow from the lengths. */
function makeMeter({ signingMs = 600, tampered = false } = {}) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'rs485', characterMs: 10 / 19.2, clock, timers })
  let counter = 0
  let snapshot = words(252, { 1: [1] })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const models = (): SunspecModel[] => [
    {
      id: 1,
      words: words(66, { 0: sunspecText('BAUER Electronic', 16), 48: sunspecText('001BZR15', 16), 64: [42] }),
    },
    { id: 10, words: zeros(4) },
    { id: 17, words: zeros(12) },
    {
      id: 203,
      words: words(105, {
        0: [0, 152, 0, 0, 0xfffe],
        6: [2301, 2302, 2303],
        13: [0xffff],
        14: [5001, 0xfffe],
        16: [350, 0x8000, 0x8000, 0x8000, 1],
        44: [0, 0x2710],
        52: [1],
      }),
    },
    { id: 64_900, words: words(300, { 250: [48, spki.length], 252: wordsOf(spki) }) },
    { id: 64_902, words: zeros(20) },
    { id: 64_901, words: snapshot },
  ]
  const bank: ModbusBank = {
    registers: () => sunspecBank({ models }).registers!(),
    writeRegister: (address, value) => {
      // 40524: status of the current snapshot; 2: make a new one.
      if (address !== 40_524 || value !== 2) return false
      snapshot = words(252, { 1: [2] })
      timers.after(signingMs, () => {
        counter++
        snapshot = signedSnapshot(100_000, counter)
        if (tampered) snapshot[5]!++
      })
      return true
    },
  }
  const random = seededRandom(9)
  serveModbus(wire.device, new Map([[42, createUnit(bank)]]), {
    framing: 'rtu',
    characterMs: 0,
    turnaroundMs: 5,
    clock,
    timers,
    random,
  })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing: 'rtu' })
  async function settled<T>(promise: Promise<T>): Promise<T> {
    let result: { value: T } | undefined
    void promise.then(value => {
      result = { value }
    })
    while (result === undefined) await advance(10)
    return result.value
  }
  const take = async (key: Uint8Array) =>
    await settled(takeBsmSnapshot({ master, unit: 42, clock, timers, verifier: nobleVerifier, publicKey: key }))
  return { master, clock, settled, take }
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

test('the page, at the addresses that the maker prints, reads what the walk over its models finds', async () => {
  const { master, clock, settled } = makeMeter()
  await master.open()
  const page = PAGES.get('bauer-bsm-ws36a')!
  const byPage = must(
    await settled(
      createModbusMeter({ master, page, unit: 42, clock, characterMs: 10 / 19.2, meterId: '001BZR15' }).read(),
    ),
  )
  const byWalk = must(await settled(createSunspecMeter({ master, unit: 42, clock, which: 'meter' }).read()))
  assert.is(byPage.meterId, '001BZR15')
  assert.is(byWalk.meterId, 'BAUER Electronic 001BZR15')
  // 10,000 x 10^1 Wh; the counter of export stands at 0, which SunSpec cannot tell from none.
  assert.equal(findValue(byPage.values, OBIS.energyImport), findValue(byWalk.values, OBIS.energyImport))
  assert.is(findValue(byPage.values, OBIS.energyImport)?.value, 10_000n)
  assert.is(findValue(byPage.values, OBIS.energyExport), undefined)
  for (const { obis, ...value } of byWalk.values) {
    const same = findValue(byPage.values, obis)
    assert.equal(same && { value: same.value, scaler: same.scaler, unit: same.unit }, value, obis)
  }
  assert.equal(
    [OBIS.voltageL1, OBIS.voltageL3, OBIS.currentL1, OBIS.frequency, OBIS.power].map(
      obis => `${findValue(byPage.values, obis)?.value}e${findValue(byPage.values, obis)?.scaler}`,
    ),
    ['2301e-1', '2303e-1', '152e-2', '5001e-2', '350e1'],
  )
})

test('a snapshot is asked for, waited for and believed by its signature alone', async () => {
  const { master, settled, take } = makeMeter()
  await master.open()
  const key = must(await settled(readBsmKey(master, 42)))
  const first = must(await take(key))
  assert.equal([first.type, first.meterId, first.counter], ['current', 'BSM1', 1])
  assert.is(findValue(first.values, OBIS.energyImport)?.value, 100_000n)
  assert.is(must(await take(key)).counter, 2)
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
  const stranger = createHash('sha256').update(other).digest()
  assert.is(codeOf(await take(Uint8Array.of(2, ...stranger))), 'bsm.signature')
})

test('a register changed after signing, and a meter that never signs, are refused by name', async () => {
  const bent = makeMeter({ tampered: true })
  await bent.master.open()
  const key = must(await bent.settled(readBsmKey(bent.master, 42)))
  assert.is(codeOf(await bent.take(key)), 'bsm.signature')
  const slow = makeMeter({ signingMs: 60_000 })
  await slow.master.open()
  assert.is(codeOf(await slow.take(key)), 'bsm.slow')
})

test.run()

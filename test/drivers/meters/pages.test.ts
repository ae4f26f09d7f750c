/** Every page of the catalogue: whole, served and read back, silent where the meter is, and held against foreign frames. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import {
  CHANNELS,
  type Channel,
  type MeterPage,
  type Quantity,
  type Register,
  readRegister,
  scalerOf,
} from '../../../drivers/meters/page.ts'
import { hex } from '../../../protocol/bytes.ts'
import { decodeRtuAnswer, decodeRtuRequest } from '../../../protocol/modbus/frame.ts'
import { type NumberType, registerCount } from '../../../protocol/modbus/value.ts'
import { must } from '../../../protocol/result.ts'
import { findValue, type MeterValue } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { type Image, identified, identityOf, laidOut, put, rawOf, servePage, wordsOf } from './page-bench.ts'

const test = suite('every page')

const pages = [...PAGES.values()]
const registersOf = (page: MeterPage) => Object.entries(page.registers) as [Channel, Register<Quantity>][]

test('a page is named as its key, owns up to its sources, and has what a market needs', () => {
  for (const [name, page] of PAGES) {
    assert.is(page.name, name)
    assert.ok(page.products.length > 0 && page.sources.length > 0, name)
    assert.ok(page.registers.energyImported ?? page.registers.energyImportedT1, `${name} counts no energy`)
    assert.ok(page.maxRegisters >= Math.max(4, page.identity.count) && page.maxRegisters <= 125, name)
    assert.is(
      page.factory === undefined,
      page.framing === 'tcp',
      `${name}: factory settings are those of a serial line`,
    )
    if (page.replay !== 'recorded')
      assert.ok(
        page.caveats.some(caveat => /[Nn]ever tried on hardware/.test(caveat)),
        `${name} does not say that it was never tried`,
      )
  }
})

test('registers of a page do not overlap, fit into one request with their scale, and have what their type needs', () => {
  for (const page of pages) {
    const registers = registersOf(page)
    for (const [channel, register] of registers) {
      const where = `${page.name} ${channel}`
      const { table, address, count, type, unit, scaledBy } = register
      assert.is(count, registerCount(type), where)
      assert.ok(address >= 0 && address + count <= 0x1_0000, where)
      assert.is(unit.quantity, CHANNELS[channel].quantity, where)
      if (type === 'f32' || type === 'f64') assert.type(page.resolution[unit.quantity], 'number', where)
      if (scaledBy !== undefined) {
        assert.is(scaledBy.table, table, where)
        assert.is(scaledBy.count, 1, where)
        const from = Math.min(address, scaledBy.address)
        assert.ok(Math.max(address + count, scaledBy.address + 1) - from <= page.maxRegisters, where)
      }
      for (const [other, that] of registers)
        assert.ok(
          channel === other ||
            table !== that.table ||
            address + count <= that.address ||
            that.address + that.count <= address,
          `${where} overlaps ${other}`,
        )
    }
    const quantities = new Set(registers.map(([, { unit }]) => unit.quantity as string))
    for (const quantity of Object.keys(page.resolution)) assert.ok(quantities.has(quantity), `${page.name} ${quantity}`)
  }
})

/** Steps that no sentinel looks like, another number for each channel and each `round`. */
const stepsOf = (channel: Channel, round = 0): bigint =>
  BigInt(211 + 7 * Object.keys(CHANNELS).indexOf(channel) + round)

/** Ten to the power that scale registers hold here. */
const SCALE = -1

function fill(page: MeterPage, image: Image, channel: Channel, steps: bigint): void {
  const register = page.registers[channel] as Register<Quantity>
  put(image, register, laidOut(page, register, rawOf(page, register, steps)))
  if (register.scaledBy === undefined) return
  put(image, register.scaledBy, wordsOf(BigInt.asUintN(16, BigInt(SCALE)), 1))
  // A meter has what stands between a value and its scale: both are read in one request.
  const { table, address, scaledBy } = register
  for (let at = Math.min(address, scaledBy.address); at < Math.max(address, scaledBy.address); at++)
    if (!image.has(`${table} ${at}`)) put(image, { table, address: at }, [0])
}

const expected = (page: MeterPage, channel: Channel, value: bigint): MeterValue => {
  const register = page.registers[channel] as Register<Quantity>
  const { obis } = CHANNELS[channel]
  const scaler = scalerOf(page, register) + (register.scaledBy === undefined ? 0 : SCALE)
  return { obis, value, scaler, unit: register.unit.unit }
}

for (const page of pages)
  test(`${page.name}: what a meter holds is what is read`, async () => {
    const image = identified(page)
    const channels = registersOf(page).map(([channel]) => channel)
    for (const channel of channels) fill(page, image, channel, stepsOf(channel))
    const reading = must(await servePage(page, image).read())
    assert.is(reading.meterId, identityOf(page))
    assert.equal(
      [...reading.values].sort((a, b) => a.obis.localeCompare(b.obis)),
      channels.map(channel => expected(page, channel, stepsOf(channel))).sort((a, b) => a.obis.localeCompare(b.obis)),
    )
  })

/** IEEE 754: quiet and signalling not-a-numbers of both signs, infinities, and a number that no meter can mean. */
const NO_FLOATS: { readonly [T in NumberType]?: readonly bigint[] } = {
  f32: [0x7fc0_0000n, 0xffc0_0000n, 0x7f80_0001n, 0xffff_ffffn, 0x7f80_0000n, 0xff80_0000n, 0x7f7f_ffffn],
  f64: [0x7ff8_0000_0000_0000n, 0xffff_ffff_ffff_ffffn, 0x7ff0_0000_0000_0000n, 0xfff0_0000_0000_0000n],
}

/** All raw contents by which a register says that it has no number. */
function sentinelsOf(page: MeterPage, { type, sentinels, count }: Register<Quantity>): bigint[] {
  const overflow = page.overflow?.[type]
  const bits = 16 * count
  const largest = (1n << BigInt(bits - 1)) - 1n
  const exceeded = overflow === undefined ? [] : [overflow, overflow + 1n, (overflow + largest) / 2n, largest]
  return [
    ...(page.sentinels?.[type] ?? []),
    ...(sentinels ?? []),
    ...(NO_FLOATS[type] ?? []),
    ...exceeded,
    ...exceeded.map(number => BigInt.asUintN(bits, -number)),
  ]
}

/** Contents of a scale register that mean no scale: not implemented, and beyond its reach to both sides. */
const NO_SCALES = [0x8000n, 11n, 0xfff5n]

const bytesOf = (words: readonly number[]): Uint8Array =>
  Uint8Array.from(words.flatMap(word => [word >> 8, word & 0xff]))

test('no sentinel of any page is a number, whatever register it stands in', () => {
  let tried = 0
  for (const page of pages)
    for (const [channel, register] of registersOf(page)) {
      const scale = bytesOf([0])
      for (const raw of sentinelsOf(page, register)) {
        tried++
        const value = readRegister(page, register, bytesOf(laidOut(page, register, raw)), scale)
        assert.is(value, undefined, `${page.name} ${channel} ${raw.toString(16)}`)
      }
      const good = bytesOf(laidOut(page, register, rawOf(page, register, 211n)))
      assert.is(readRegister(page, register, good, scale)?.value, 211n, `${page.name} ${channel}`)
      if (register.scaledBy === undefined) continue
      assert.is(readRegister(page, register, good), undefined, `${page.name} ${channel} without its scale`)
      for (const raw of NO_SCALES) assert.is(readRegister(page, register, good, bytesOf(wordsOf(raw, 1))), undefined)
    }
  console.log(`${tried} sentinels in ${pages.length} pages: none is a number`)
})

/** What becomes of a channel between two reads. */
interface Fate {
  readonly kind: 'moves' | 'gone' | 'sentinel'
  /** Which of the sentinels that its register has. */
  readonly which: number
}

const fate: fc.Arbitrary<Fate> = fc.record({
  kind: fc.constantFrom<Fate['kind']>('moves', 'gone', 'sentinel'),
  which: fc.nat(1_000),
})

/** Changes the channel's registers; answers whether it has a number then. */
function befall(page: MeterPage, image: Image, channel: Channel, now: Fate): boolean {
  const register = page.registers[channel] as Register<Quantity>
  const none = sentinelsOf(page, register)
  if (now.kind === 'moves' || (now.kind === 'sentinel' && none.length + (register.scaledBy ? 1 : 0) === 0)) {
    fill(page, image, channel, stepsOf(channel, 1))
    return true
  }
  if (now.kind === 'gone')
    for (let i = 0; i < register.count; i++) image.delete(`${register.table} ${register.address + i}`)
  else if (none.length > 0) put(image, register, laidOut(page, register, none[now.which % none.length]!))
  else put(image, register.scaledBy!, wordsOf(NO_SCALES[now.which % NO_SCALES.length]!, 1))
  return false
}

/** A register whose scale register is shared goes when that scale goes; the page's own words for it. */
const sharesScale = (page: MeterPage): boolean => {
  const scales = registersOf(page).flatMap(([, { scaledBy }]) => (scaledBy === undefined ? [] : [scaledBy.address]))
  return new Set(scales).size < scales.length
}

for (const page of pages.filter(page => !sharesScale(page)))
  test(`${page.name}: a value that is gone stays absent, and no old value gets a new time`, async () => {
    const channels = registersOf(page).map(([channel]) => channel)
    const fates = fc.array(fate, { minLength: channels.length, maxLength: channels.length })
    const cases = fc.sample(fates, 12)
    // All at once, and every one alone.
    cases.push(channels.map(() => ({ kind: 'gone', which: 0 })))
    for (const alone of channels.keys())
      cases.push(channels.map((_, i) => ({ kind: i === alone ? 'gone' : 'moves', which: 0 })))
    for (const now of cases) {
      const image = identified(page)
      for (const channel of channels) fill(page, image, channel, stepsOf(channel))
      const { read, clock, advance } = servePage(page, image)
      must(await read())
      await advance(1_000)
      const there = channels.filter((channel, i) => befall(page, image, channel, now[i]!))
      for (let again = 0; again < 2; again++) {
        const began = clock.mono()
        const result = await read()
        const shown = JSON.stringify(now)
        assert.is(result.ok, there.length > 0, shown)
        if (!result.ok) continue
        assert.ok(result.value.takenMono >= began && result.value.takenMono <= clock.mono(), shown)
        assert.equal(
          result.value.values.map(({ obis, value }) => `${obis} ${value}`).sort(),
          there.map(channel => `${CHANNELS[channel].obis} ${stepsOf(channel, 1)}`).sort(),
          shown,
        )
      }
    }
  })

test('with answers late, queued and overtaken, no page gives a value of another round', async () => {
  let right = 0
  let absent = 0
  for (const [i, page] of pages.entries()) {
    const channels = registersOf(page).map(([channel]) => channel)
    const image = identified(page)
    // Every round's counters are far from the last one's, which is not what this is about.
    const { read, clock, advance, unit } = servePage({ ...page, maxPowerW: 1e12 }, image)
    for (let round = 0; round < 8; round++) {
      unit.faults.lateShare = 0.1
      unit.faults.lateMs = 120 * (1 + ((7 * round + i) % 19))
      unit.faults.lateQueued = round % 2 === 0
      for (const channel of channels) fill(page, image, channel, stepsOf(channel, 1_000 * round))
      const began = clock.mono()
      const result = await read()
      if (!result.ok) {
        absent += channels.length
      } else {
        const { values, takenMono } = result.value
        assert.ok(takenMono >= began, page.name)
        for (const channel of channels) {
          const found = findValue(values, CHANNELS[channel].obis)
          if (found === undefined) absent++
          else {
            right++
            assert.is(found.value, stepsOf(channel, 1_000 * round), `${page.name} ${channel} round ${round}`)
          }
        }
      }
      await advance(1_000)
    }
  }
  console.log(`late answers on every page: ${right} values right, 0 wrong, ${absent} absent`)
  assert.ok(right > absent, `${right} right, ${absent} absent`)
}, 60_000)

test('any bytes in any register are a number within a signed record, or none', () => {
  assertProperty(
    fc.property(fc.constantFrom(...pages), fc.uint8Array({ minLength: 8, maxLength: 8 }), (page, noise) => {
      for (const [, register] of registersOf(page)) {
        const value = readRegister(page, register, noise.slice(0, 2 * register.count), noise.slice(6))
        if (value === undefined) continue
        assert.ok(value.value < 2n ** 63n && value.value > -(2n ** 63n))
        assert.ok(value.scaler >= -9 && value.scaler <= 9)
      }
    }),
    2_000,
  )
})

interface ForeignCapture {
  readonly page: string
  readonly kind: string
  readonly source: string
  readonly exchanges: readonly { readonly request: string; readonly answer: string }[]
  readonly says: readonly { readonly channel: Channel; readonly value: string }[]
}

const folder = fileURLToPath(new URL('../../../hw/captures/', import.meta.url))
const captures: ForeignCapture[] = readdirSync(folder)
  .filter(file => file.endsWith('.json'))
  .map(file => JSON.parse(readFileSync(folder + file, 'utf8')))

test('no page claims a capture that is not there, and no capture lacks its page', () => {
  for (const page of pages) {
    const there = captures.find(capture => capture.page === page.name)
    assert.is(there !== undefined, page.replay === 'foreign', `${page.name} says ${page.replay}`)
  }
  for (const { page, kind, source, says } of captures) {
    assert.ok(PAGES.has(page) && existsSync(`${folder}${page}.json`), page)
    assert.is(kind, 'foreign')
    assert.ok(source.length > 0 && says.length > 0, page)
  }
})

test('the README counts what stands behind the pages', () => {
  const replayed = (kind: MeterPage['replay']) => pages.filter(({ replay }) => replay === kind).length
  const manuals = pages.filter(({ sources }) => sources.some(({ seen }) => seen === 'manual')).length
  const said = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
    .replaceAll('\n', ' ')
    .match(/Of the (\d+) pages.*?: (\d+) are replayed .*?, (\d+) from captures of others, (\d+) from .*?; (\d+) rest/)
  const counted = [pages.length, replayed('recorded'), replayed('foreign'), replayed('synthetic'), manuals]
  assert.equal(said?.slice(1).map(Number), counted)
})

/** Puts what an exchange brought where a meter holds it; its frames are checked as our master checks them. */
function replay(image: Image, { request, answer }: { readonly request: string; readonly answer: string }): void {
  const asked = decodeRtuRequest(hex(request))
  assert.is(asked.kind, 'frame', request)
  if (asked.kind !== 'frame') return
  const { unit, request: read } = asked.value
  if (read.fn !== 3 && read.fn !== 4) throw new Error(`function ${read.fn} reads no registers`)
  const answered = decodeRtuAnswer(unit, read, hex(answer))
  assert.is(answered.kind, 'frame', answer)
  if (answered.kind !== 'frame') return
  const data = answered.value.subarray(2)
  const words = Array.from({ length: data.length / 2 }, (_, i) => (data[2 * i]! << 8) | data[2 * i + 1]!)
  put(image, { table: read.fn === 3 ? 'holding' : 'input', address: read.address }, words)
}

/** `8567.20 kWh` as 856720 x 10^1 Wh. */
function saidValue(text: string): { readonly value: bigint; readonly scaler: number; readonly unit: string } {
  const [, digits = '', fraction = '', prefix = '', unit = ''] = /^(-?\d+)(?:\.(\d+))? (k?)(\w+)$/.exec(text) ?? []
  return { value: BigInt(digits + fraction), scaler: (prefix === 'k' ? 3 : 0) - fraction.length, unit }
}

/** At another power of ten, to the nearest. */
function rounded({ value, scaler }: MeterValue, to: number): bigint {
  if (scaler >= to) return value * 10n ** BigInt(scaler - to)
  const step = 10n ** BigInt(to - scaler)
  const size = ((value < 0n ? -value : value) * 2n + step) / (2n * step)
  return value < 0n ? -size : size
}

for (const { page: name, exchanges, says } of captures)
  test(`${name}: frames of somebody else's meter say what their source says`, async () => {
    const page = PAGES.get(name)!
    const image = identified(page)
    for (const exchange of exchanges) replay(image, exchange)
    const { values } = must(await servePage(page, image).read())
    for (const { channel, value: text } of says) {
      const said = saidValue(text)
      const found = findValue(values, CHANNELS[channel].obis)
      assert.ok(found !== undefined, `${name} ${channel} is absent`)
      assert.is(`${rounded(found, said.scaler)} ${found.unit}`, `${said.value} ${said.unit}`, `${name} ${channel}`)
    }
  })

test.run()

import { concat, hex, toHex } from '../../../../protocol/bytes.ts'
import { type DlmsReading, decodeDlms } from '../../../../protocol/telegram/dlms/dlms.ts'
import type { TelegramKeys } from '../../../../protocol/telegram/telegram.ts'
import { assert, suite } from '../../../harness.ts'
import { hdlc, KEYS, seal, TITLE } from './seal.ts'

const test = suite('dlms lists')

function read(bytes: Uint8Array, keys: TelegramKeys = {}): DlmsReading {
  const pull = decodeDlms(bytes, keys)
  if (pull.kind !== 'frame') throw new Error(`no frame but ${pull.kind === 'junk' ? pull.fault.code : 'need'}`)
  assert.is(pull.used, bytes.length)
  return pull.value
}

const faultOf = (bytes: Uint8Array): string => {
  const pull = decodeDlms(bytes, {})
  return pull.kind === 'junk' ? pull.fault.code : pull.kind
}

const push = (body: string) => concat(hex('0f 00000001 00'), hex(body))
const readPush = (body: string) => read(hdlc(concat(hex('e6e700'), push(body))))
/** The same sealed by the meter of a maker. */
const readSealed = (body: string, title = TITLE) =>
  read(hdlc(concat(hex('e6e700'), seal(push(body), 1, 0x30, title))), KEYS)

test('a sealed push that does not name its meter is known by its system title', () => {
  const body = '02 03 0906 0100010800ff 06 00000001 0202 0f00 161e'
  assert.is(readPush(body).meterId, undefined)
  assert.is(readSealed(body).meterId, toHex(TITLE))
})

test('integers of every type and sign come back exactly; what is no integer is absent', () => {
  for (const [type, value] of [
    ['05 80000000', -(1n << 31n)],
    ['06 ffffffff', (1n << 32n) - 1n],
    ['0f 80', -128n],
    ['10 8000', -32768n],
    ['11 ff', 255n],
    ['12 ffff', 65535n],
    ['14 8000000000000000', -(1n << 63n)],
    ['15 ffffffffffffffff', (1n << 64n) - 1n],
    ['00', undefined],
    ['03 01', undefined],
    ['04 09 ff80', undefined],
    ['0a 02 3132', undefined],
    ['0c 02 3132', undefined],
    ['0d 12', undefined],
    ['16 01', undefined],
    ['17 3f800000', undefined],
    ['18 3ff0000000000000', undefined],
    ['19 07e70401061520230000ff00', undefined],
    ['1a 07e7040106', undefined],
    ['1b 15202300', undefined],
    ['1e 00000001', undefined],
    ['ff', undefined],
  ] as const) {
    const { values } = readPush(`02 03 0906 0100010800ff ${type} 0202 0ffe 161e`)
    assert.equal(values, value === undefined ? [] : [{ obis: '1-0:1.8.0', value, scaler: -2, unit: 'Wh' }], type)
  }
})

test('a compact array is the list that it stands for', () => {
  //            array of  structure of 3: octets, double-long-unsigned, structure of integer and enum
  const type = '13        02 03 09 06 02 02 0f 16'
  const body = `${type} 1a  06 0100010800ff 00000007 00 1e   06 0100020800ff 00000008 ff 1e`
  const { values } = readPush(body)
  assert.equal(
    values.map(v => `${v.obis} ${v.value} ${v.scaler} ${v.unit}`),
    ['1-0:1.8.0 7 0 Wh', '1-0:2.8.0 8 -1 Wh'],
  )
  for (const bad of ['13 00 ffff', '13 02 00 04 00000000', `${type} 1b 06 0100010800ff 00000007 00 1e`, '13 13 01 00'])
    assert.is(faultOf(hdlc(concat(hex('e6e700'), push(bad)))), 'dlms.structure', bad)
})

test('bytes left over, lists without end and without bottom, and lengths beyond the frame are no telegram', () => {
  for (const body of [
    '01 00 00',
    '02 02 06 00000001',
    '01 82ffff',
    '01 83000001',
    '09 7f',
    '02',
    '99',
    '01 01'.repeat(500),
    `01 820bb8 ${'00'.repeat(1900)}`,
    '',
  ])
    assert.is(faultOf(hdlc(concat(hex('e6e700'), push(body)))), 'dlms.structure', body.slice(0, 20))
  assert.is(faultOf(hdlc(concat(hex('e6e700'), hex('0f 0000')))), 'dlms.structure')
  assert.is(faultOf(hdlc(hex('e6e700'))), 'dlms.structure')
  assert.is(faultOf(hdlc(hex('e6e700 55 00'))), 'dlms.structure')
})

test('a register that comes twice with two values makes no reading; with one it counts once', () => {
  const energy = (value: string, scaler = '00') => `02 03 0906 0100010800ff 06 ${value} 0202 0f${scaler} 161e`
  assert.is(readPush(`01 02 ${energy('00000001')} ${energy('00000001')}`).values.length, 1)
  for (const other of [energy('00000002'), energy('00000001', '01')])
    assert.is(faultOf(hdlc(concat(hex('e6e700'), push(`01 02 ${energy('00000001')} ${other}`)))), 'dlms.twice')
})

test('names and values in one row, in structures of their own and mixed are all read (Austria, Salzburg)', () => {
  const clock = '0906 0000010000ff 090c 07e60b0c06103600 00ffc400'
  const reading = readPush(`02 09 ${clock}
    02 02  0906 00002a0000ff  0910 4b464d31323030323030323334383034
    02 03  0906 0100200700ff  12 08f4  0202 0fff 1623
    0906 0100010700ff  06 000002ca  0202 0f00 161b
    0906 0100020700ff  06 00000000`)
  assert.equal(reading.values, [
    { obis: '1-0:32.7.0', value: 2292n, scaler: -1, unit: 'V' },
    { obis: '1-0:1.7.0', value: 714n, scaler: 0, unit: 'W' },
  ])
  assert.is(reading.meterId, 'KFM1200200234804')
  assert.is(reading.time, '2022-11-12T16:54:00+01:00')
})

test("a meter's number at the end without a name is taken for its name (Lower Austria)", () => {
  const row = '090c 07e60b0c061036000000ff00 0906 0100010800ff 06 00000001 0202 0f00 161e'
  assert.is(readPush(`02 05 ${row} 090c 313831323230303030303039`).meterId, '181220000009')
})

test("a meter's number is text, or else hex, or a number; zeros are none; the best register of those there are counts", () => {
  const id = (value: string, obis = '0000600100ff') => readPush(`01 01 02 02 0906 ${obis} ${value}`).meterId
  assert.is(id('0a 06 202d31320000'), ' -12')
  assert.is(id('09 04 00bc614e'), '00bc614e')
  assert.is(id('06 00bc614e'), '12345678')
  assert.is(id('09 04 00000000'), undefined)
  assert.is(id('09 00'), undefined)
  assert.is(id('0a 01 31', '0100010800ff'), undefined)
  const two = '01 02 02 02 0906 0000600101ff 0a01 31 02 02 0906 0000600100ff 0a01 32'
  assert.is(readPush(two).meterId, '2')
})

test('a push that begins with its own description is read by it (push setup, Energomera and others)', () => {
  const object = (classId: string, obis: string, attribute: string) =>
    `02 04 12 ${classId} 0906 ${obis} 0f ${attribute} 12 0000`
  const list = [
    object('0028', '0000190900ff', '02'),
    object('0001', '0000600100ff', '02'),
    object('0003', '0100010800ff', '02'),
    object('0003', '0100010800ff', '03'),
    object('0003', '0100020800ff', '02'),
  ].join(' ')
  const reading = readPush(`02 05 01 05 ${list}  0904 31323334  06 00000064  0202 0f01 161e  06 000000c8`)
  // Export has no scaler: it is no value.
  assert.equal(reading.values, [{ obis: '1-0:1.8.0', value: 100n, scaler: 1, unit: 'Wh' }])
  assert.is(reading.meterId, '1234')
})

test('numbers without a scaler are values only by the convention of their maker', () => {
  const pairs = '090c 07e60b0c061036000000ff00 0906 0100010800ff 06 00000001 0906 0100010700ff 06 00000002'
  assert.equal(readPush(`02 05 ${pairs}`).values, [])
  assert.equal(readSealed(`02 05 ${pairs}`).values, [])
  assert.equal(readSealed(`02 05 ${pairs}`, hex('4c475a 0000000001')).values, [
    { obis: '1-0:1.8.0', value: 1n, scaler: 0, unit: 'Wh' },
    { obis: '1-0:1.7.0', value: 2n, scaler: 0, unit: 'W' },
  ])
  const kamstrup = (list: string) =>
    readPush(`02 05 0a0e ${Buffer.from(list).toString('hex')} 0906 0101010800ff 06 00000001 0906 01011f0700ff 12 0002`)
  assert.equal(kamstrup('Kamstrup_V0001').values, [
    { obis: '1-1:1.8.0', value: 1n, scaler: 1, unit: 'Wh' },
    { obis: '1-1:31.7.0', value: 2n, scaler: -2, unit: 'A' },
  ])
  assert.equal(kamstrup('Kamstrup_V0002').values, [])
  assert.equal(readPush('02 01 06 000003b4').values, [])
})

test("Kaifa's lists of 1, 9, 13, 14 and 18 are read by their order, another length is not", () => {
  const kaifa = (body: string) => read(hdlc(concat(hex('e6e700'), push(body)), { addresses: '010201', control: 0x10 }))
  const line = (reading: DlmsReading) => reading.values.map(v => `${v.obis} ${v.value} ${v.scaler} ${v.unit}`)
  const head = '0907 4b464d5f303031 0904 31323334 0902 4d41 06 00000001 06 00000002 06 00000003 06 00000004'
  const energy = '090c 07e10a0905051e0fff800000 06 0000000b 06 0000000c 06 0000000d 06 0000000e'
  const one = '06 00000005 06 00000006'
  const three = '06 00000005 06 00000006 06 00000007 06 00000008 06 00000009 06 0000000a'
  const power = ['1-0:1.7.0 1 0 W', '1-0:2.7.0 2 0 W', '1-0:3.7.0 3 0 var', '1-0:4.7.0 4 0 var']
  const registers = ['1-0:1.8.0 11 0 Wh', '1-0:2.8.0 12 0 Wh', '1-0:3.8.0 13 0 varh', '1-0:4.8.0 14 0 varh']
  const single = ['1-0:31.7.0 5 -3 A', '1-0:32.7.0 6 -1 V']
  const phases = ['31', '51', '71'].map((c, i) => `1-0:${c}.7.0 ${5 + i} -3 A`)
  phases.push(...['32', '52', '72'].map((c, i) => `1-0:${c}.7.0 ${8 + i} -1 V`))
  assert.equal(line(kaifa('02 01 06 000003b4')), ['1-0:1.7.0 948 0 W'])
  assert.equal(line(kaifa(`02 09 ${head} ${one}`)), [...power, ...single])
  assert.equal(line(kaifa(`02 0d ${head} ${three}`)), [...power, ...phases])
  assert.equal(line(kaifa(`02 0e ${head} ${one} ${energy}`)), [...power, ...single, ...registers])
  assert.equal(line(kaifa(`02 12 ${head} ${three} ${energy}`)), [...power, ...phases, ...registers])
  assert.is(kaifa(`02 0d ${head} ${three}`).meterId, '1234')
  assert.equal(line(kaifa(`02 0a ${head} ${one} 06 00000007`)), [])
})

test('event notifications and get-responses are taken apart, and say nothing without a unit', () => {
  const response = 'c4 01 c1 00 02 03 0906 0100010800ff 06 00000001 0202 0f00 161e'
  assert.is(read(hdlc(concat(hex('e6e700'), hex(response)))).values.length, 1)
  const event = 'c2 01 0c 07e704010615202300ff8880 0003 0100010800ff 02 06 00000001'
  const reading = read(hdlc(concat(hex('e6e700'), hex(event))))
  assert.equal(reading.values, [])
  assert.is(reading.time, '2023-04-01T21:32:35+02:00')
})

test('times with parts unsaid or impossible are none, and a deviation is told as an offset', () => {
  const time = (clock: string) => read(hdlc(concat(hex('e6e700'), hex(`0f 00000001 0c ${clock} 01 00`)))).time
  assert.is(time('07e7 04 01 06 15 20 23 00 ff88 80'), '2023-04-01T21:32:35+02:00')
  assert.is(time('07e7 04 01 06 15 20 23 00 0000 00'), '2023-04-01T21:32:35Z')
  assert.is(time('07e7 04 01 06 15 20 23 ff 012c 00'), '2023-04-01T21:32:35-05:00')
  assert.is(time('07e7 04 01 06 15 20 23 ff 8000 ff'), '2023-04-01T21:32:35')
  for (const none of ['ffff 04 01 06 15 20 23 00 8000 00', '07e7 0d 01 06 15 20 23 00 8000 00'])
    assert.is(time(none), undefined)
})

test.run()

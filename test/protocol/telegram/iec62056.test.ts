import { decodeIecTelegram } from '../../../drivers/meters/telegrams.ts'
import { iecCapture } from '../../../hw/sim/iec-meter-sim.ts'
import { concat, hex, utf8 } from '../../../protocol/bytes.ts'
import {
  decodeDataMessage,
  decodeIdentification,
  decodeIec62056,
  IEC62056_FRAME_MAX,
  type Iec62056Reading,
  withEvenParity,
} from '../../../protocol/telegram/iec62056.ts'
import { dataMessageText, onWire, pushedText } from '../../../protocol/telegram/iec62056-write.ts'
import { findValue } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { fuzz } from './fuzz.ts'
import { Gather } from './gather.ts'
import { mutateReadouts, plain } from './mutate-readouts.ts'

const test = suite('iec 62056-21')

const LINES = [
  'F.F(00000000)',
  'C.1.0(47110815)',
  '0.0.0(1ABC00998877)',
  '1.8.0(0012345.678*kWh)',
  '1.8.1(0012000.000*kWh)1.8.2(0000345.678*kWh)',
  '2.8.0(0000007.5*kWh)',
  '1.8.0*01(0011999.000*kWh)',
  '1.6.0(03.245*kW)(2611010915)',
  '1.7.0(0.735*kW)',
  '32.7.0(230.1*V)',
  '31.7.0(001.25*A)',
  '14.7.0(50.0*Hz)',
  '13.7.0(0.98)',
  '3.8.0(00001.2*kvarh)',
]
const FRAME = iecCapture('TLN5model-1', LINES, 'none')
const WITH_PARITY = iecCapture('TLN5model-1', LINES, 'even-in-bit-7')
const PUSHED = utf8(pushedText('TLN3model-1', LINES))

function read(bytes: Uint8Array): Iec62056Reading {
  const pull = decodeIec62056(bytes)
  if (pull.kind !== 'frame') throw new Error(`no frame but ${pull.kind === 'junk' ? pull.fault.code : 'need'}`)
  return pull.value
}

const code = (bytes: Uint8Array): string => {
  const pull = decodeIec62056(bytes)
  return pull.kind === 'junk' ? pull.fault.code : pull.kind
}

/** The reading of some data lines under a BCC. */
const readLines = (...lines: readonly string[]) => read(utf8(`/TLN5x\r\n${dataMessageText(lines)}`))

test('every data line gives its value digit by digit, stored ones under a name of their own', () => {
  for (const [name, bytes] of Object.entries({ FRAME, WITH_PARITY, PUSHED })) {
    const { values, equipmentId, error, identification } = read(bytes)
    assert.equal(
      values.map(plain),
      [
        '1-0:1.8.0 12345678e0 Wh',
        '1-0:1.8.1 12000000e0 Wh',
        '1-0:1.8.2 345678e0 Wh',
        '1-0:2.8.0 75e2 Wh',
        '1-0:1.8.0*1 11999000e0 Wh',
        '1-0:1.6.0 3245e0 W',
        '1-0:1.7.0 735e0 W',
        '1-0:32.7.0 2301e-1 V',
        '1-0:31.7.0 125e-2 A',
        '1-0:14.7.0 500e-1 Hz',
        '1-0:13.7.0 98e-2 1',
        '1-0:3.8.0 12e2 varh',
      ],
      name,
    )
    assert.is(findValue(values, '1-0:1.8.0')?.written, 'kWh')
    assert.is(findValue(values, '1-0:32.7.0')?.written, undefined)
    assert.is(equipmentId, '47110815')
    assert.is(error, undefined)
    assert.is(identification.maker, 'TLN')
    assert.is(identification.model, 'model-1')
  }
})

/*
 * A readout of a Pafal/Apator meter, as its owner posted it in the thread of RIOT-OS/RIOT pull request 22033. The BCC 75 is
 * the meter's own. The serial number is blanked there with zeros; the digits that stood there differ from zeros by 09 in
 * their exclusive-or, which the last zero here makes up for.
 *
 *     02  30 2E 30 2E 30 28 ...  21 0D 0A  03  75
 *     STX 0 . 0 . 0 (            !  CR LF ETX BCC
 */
test("a real meter's readout: its own BCC holds, a register without unit is absent, and so is one that is stored", () => {
  const text = [
    '\x020.0.0(00000009)\r\n0.0.1(001APAEA)\r\nF.F(00)\r\n0.2.0(1.29)\r\n1.8.0*00(007900.58)\r\n',
    `C.2.1(1107113C2E06)(${' '.repeat(48)})\r\n0.2.2(:::::G11)!\r\n\x03u`,
  ].join('')
  const pull = decodeDataMessage(utf8(text), 'none')
  assert.is(pull.kind, 'frame', pull.kind === 'junk' ? JSON.stringify(pull.fault) : '')
  if (pull.kind !== 'frame') return
  assert.equal(pull.value.values, [])
  assert.is(pull.value.error, undefined)
  const stored = utf8(text.replace('007900.58', '007900.58*kWh'))
  // With a unit put in the BCC fails: "*kWh" is 2A ^ 6B ^ 57 ^ 68 = 7E.
  const broken = decodeDataMessage(stored, 'none')
  assert.is(broken.kind === 'junk' && broken.fault.code, 'iec62056.bcc')
  stored[stored.length - 1]! ^= 0x7e
  const mended = decodeDataMessage(stored, 'none')
  assert.equal(mended.kind === 'frame' && mended.value.values.map(plain), ['1-0:1.8.0*0 790058e1 Wh'])
})

/*
 * A Logarex LK13 in full, from the tests of pwitab/iec62056-21 (BSD licence); two digits of its serial number have changed
 * places here, which leaves the BCC 67 as it was. A stored register's name ends in its number.
 */
test('a real meter with its own BCC gives every register in digits, and its stored ones apart', () => {
  const lines = [
    '1-0:96.1.0*255(001LOG0056282495)',
    '1-0:1.8.0*255(015882.6927*kWh)',
    '1-0:2.8.0*255(000219.4882*kWh)',
    '1-0:16.7.0*255(000028*W)',
    '1-0:32.7.0*255(235.2*V)',
    '1-0:52.7.0*255(235.8*V)',
    '1-0:72.7.0*255(237.1*V)',
    '1-0:31.7.0*255(000.90*A)',
    '1-0:51.7.0*255(002.28*A)',
    '1-0:71.7.0*255(001.85*A)',
    '1-0:81.7.1*255(117*deg)',
    '1-0:81.7.2*255(242*deg)',
    '1-0:81.7.4*255(032*deg)',
    '1-0:81.7.15*255(051*deg)',
    '1-0:81.7.26*255(073*deg)',
    '1-0:14.7.0*255(49.9*Hz)',
    '1-0:1.8.0*96(00019.3*kWh)',
    '1-0:1.8.0*97(00158.7*kWh)',
    '1-0:1.8.0*98(01074.7*kWh)',
    '1-0:1.8.0*99(09027.4*kWh)',
    '1-0:1.8.0*100(15882.6*kWh)',
    '1-0:0.2.0*255(ver.03,432F,20170504)',
    '1-0:96.90.2*255(0F66)',
    '1-0:97.97.0*255(00000000)',
  ]
  const { values, equipmentId, error } = read(utf8(`/LOG5LK123\r\n\x02${lines.join('\r\n')}\r\n!\r\n\x03\x67`))
  assert.is(equipmentId, '001LOG0056282495')
  assert.is(error, undefined)
  assert.equal(values.map(plain), [
    '1-0:1.8.0 158826927e-1 Wh',
    '1-0:2.8.0 2194882e-1 Wh',
    '1-0:16.7.0 28e0 W',
    '1-0:32.7.0 2352e-1 V',
    '1-0:52.7.0 2358e-1 V',
    '1-0:72.7.0 2371e-1 V',
    '1-0:31.7.0 90e-2 A',
    '1-0:51.7.0 228e-2 A',
    '1-0:71.7.0 185e-2 A',
    '1-0:14.7.0 499e-1 Hz',
    '1-0:1.8.0*96 193e2 Wh',
    '1-0:1.8.0*97 1587e2 Wh',
    '1-0:1.8.0*98 10747e2 Wh',
    '1-0:1.8.0*99 90274e2 Wh',
    '1-0:1.8.0*100 158826e2 Wh',
  ])
})

/* Lines of a Landis+Gyr ZMD and an Itron EM214, as in the tests of pwitab/iec62056-21 and smartmeter-obis. */
test('signs are a plus, a minus or a blank; general registers have two groups or a medium of their own', () => {
  const { values, equipmentId, error } = readLines(
    '1-1:F.F(00000001)',
    '1-1:36.7.0(-000.82*kW)',
    '1-1:56.7.0( 001.67*kW)',
    '31.7.0(+000.8*A)',
    'C.1(53965555)',
    '1-1:131.7.0(-000.95*kvar)',
    '1-1:0.5.1.2(80.000*kW)',
  )
  assert.equal(values.map(plain), ['1-1:36.7.0 -82e1 W', '1-1:56.7.0 167e1 W', '1-0:31.7.0 8e-1 A'])
  assert.is(equipmentId, '53965555')
  assert.is(error, '00000001')
})

/*
 *     /   T    L    N    5    x    CR   LF
 *     AF  D4   CC   4E   35   78   8D   0A        with even parity in bit 7
 */
test('parity in bit 7 is demanded of every byte when the telegram begins with it, and refused when it does not', () => {
  assert.equal(onWire('/TLN5x\r\n', 'even-in-bit-7'), hex('af d4 cc 4e 35 78 8d 0a'))
  assert.is(decodeIdentification(hex('af d4 cc 4e 35 78 8d 0a')).kind, 'frame')
  assert.is(decodeIdentification(hex('af d4 cc ce 35 78 8d 0a')).kind, 'junk')
  assert.is(decodeIdentification(hex('2f d4 cc 4e 35 78 8d 0a')).kind, 'junk')
  assert.is(decodeIdentification(hex('2f 54 4c 4e 35 78 0d 0a'), 'even-in-bit-7').kind, 'junk')
  for (let char = 0; char < 128; char++) {
    const ones = withEvenParity(char).toString(2).replaceAll('0', '').length
    assert.is(ones % 2, 0)
  }
})

test('with parity every single flipped bit is seen, and without it all but those outside the message', () => {
  for (const frame of [FRAME, WITH_PARITY]) {
    const right = JSON.stringify(read(frame).values.map(plain))
    const accepted: number[] = []
    for (let bit = 0; bit < 8 * frame.length; bit++) {
      const bytes = Uint8Array.from(frame)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      for (const { value } of new Gather(decodeIec62056).push(bytes).frames) {
        assert.is(JSON.stringify(value.values.map(plain)), right, `bit ${bit}`)
        accepted.push(bit)
      }
    }
    // The identification and the choice of mode before the STX are under no BCC: their text may change, no value.
    const stx = frame.findIndex(byte => (byte & 0x7f) === 2)
    assert.ok(accepted.every(bit => bit >> 3 < stx))
    if (frame === WITH_PARITY)
      assert.equal(
        accepted.map(bit => frame[bit >> 3]).filter(byte => byte === 0xaf),
        [],
      )
    assert.ok(accepted.length <= 8 * stx)
  }
})

test('cut at every byte it asks for more and never past its end', () => {
  for (const frame of [FRAME, WITH_PARITY, PUSHED])
    for (let length = 0; length < frame.length; length++) {
      const pull = decodeIec62056(frame.subarray(0, length))
      assert.is(pull.kind, 'need', `at ${length}`)
      if (pull.kind === 'need') assert.ok(pull.bytes >= 1 && length + pull.bytes <= frame.length, `at ${length}`)
    }
})

test('a telegram cut short anywhere does not hide the next one, and the two never pass for one', () => {
  for (const frame of [FRAME, PUSHED])
    for (let length = 1; length < frame.length; length++) {
      const { frames } = new Gather(decodeIec62056).push(concat(frame.subarray(0, length), frame))
      assert.equal(
        frames.map(({ raw }) => raw.length),
        [frame.length],
        `at ${length}`,
      )
    }
})

test('a slash in brackets belongs to a value, and hides no telegram that follows one cut short', () => {
  const flow = ['6-0:9.0.0(1.234*m3/h)', '0.2.0(V1/2)']
  assert.equal(readLines(...flow).values.map(plain), ['6-0:9.0.0 1234e-3 m3/h'])
  const pushed = utf8(pushedText('TLN3model-1', flow))
  assert.equal(read(pushed).values.map(plain), ['6-0:9.0.0 1234e-3 m3/h'])
  for (const whole of [pushed, iecCapture('TLN5model-1', flow, 'none'), iecCapture('TLN5x', flow, 'even-in-bit-7')])
    for (let length = 1; length < whole.length; length++) {
      const { frames } = new Gather(decodeIec62056).push(concat(whole.subarray(0, length), whole))
      assert.equal(
        frames.map(({ raw }) => raw.length),
        [whole.length],
        `cut at ${length}`,
      )
    }
})

test('what is not certain is absent: no unit, a unit of another quantity, two quantities, two answers, no address', () => {
  const names = (...lines: readonly string[]) => readLines(...lines).values.map(plain)
  assert.equal(names('1.8.0(0012345.678)'), [])
  assert.equal(names('1.8.0(0012345.678*kW)'), [])
  assert.equal(names('6.8(0017.1*GJ)', '6.8.0(0017.1*GJ)'), [])
  assert.equal(names('6-0:1.0.0(0017.1*GJ)'), ['6-0:1.0.0 171e8 J'])
  assert.equal(names('1.8.0(1.000*kWh)(2.000*kWh)'), [])
  assert.equal(names('1.8.0(1.000*kWh)', '1.8.0(2.000*kWh)', '1.8.0(1.000*kWh)'), [])
  assert.equal(names('1.8.0(1.000*kWh)', '1.8.0(1.000*kWh)'), ['1-0:1.8.0 1000e0 Wh'])
  assert.equal(names('(1.000*kWh)'), [])
  assert.equal(names('1.8.0(--.---*kWh)', '2.8.0(*kWh)', '3.8.0(1,5*kvarh)'), [])
  assert.equal(names('1.8.0(1.000*toString)', '1.8.0(1.000*__proto__)'), [])
  assert.equal(names('1-1:1.8.0*255(1.0*Wh)', '1-0:1.8.0&03(2.0*Wh)'), ['1-1:1.8.0 10e-1 Wh', '1-0:1.8.0*3 20e-1 Wh'])
  assert.equal(names('1.8.256(1.0*Wh)', '1.8.0*256(1.0*Wh)'), [])
  assert.equal(names('1.7.0(-0.250*kW)'), ['1-0:1.7.0 -250e0 W'])
})

test('the error register is told when it is not zero, and identities of zeros or blanks are none', () => {
  assert.is(readLines('F.F(00000100)').error, '00000100')
  assert.is(readLines('0-0:97.97.0*255(81)').error, '81')
  assert.is(readLines('F.F(00)').error, undefined)
  assert.is(readLines('C.1.0(        )', '0.0.0(00000000)').equipmentId, undefined)
  assert.is(readLines('0.0.0(00004711)', 'C.1.0(        )').equipmentId, '00004711')
  assert.is(readLines('0-0:96.1.0*255(99 1)').equipmentId, undefined)
})

test('each thing that can be wrong has its fault', () => {
  const message = (text: string) => {
    let bcc = 0
    for (const byte of utf8(text)) bcc ^= byte
    return utf8(`/TLN5x\r\n\x02${text}${String.fromCharCode(bcc)}`)
  }
  assert.is(code(utf8('xx/TLN5x\r\n')), 'iec62056.noise')
  assert.is(code(utf8('/?!\r\n')), 'iec62056.identification')
  assert.is(code(utf8('/T1N5x\r\n')), 'iec62056.identification')
  assert.is(code(message('1.8.0(1.0*Wh)\r\n\x03')), 'iec62056.lines')
  assert.is(code(message('1.8.0(1.0*Wh\r\n!\r\n\x03')), 'iec62056.cut')
  assert.is(code(message('1.8.0)1.0*Wh(\r\n!\r\n\x03')), 'iec62056.cut')
  assert.is(code(message('1.8.0)(1.0*Wh)\r\n!\r\n\x03')), 'iec62056.lines')
  assert.is(code(message('1.8.0(1.0*Wh)\r!\r\n\x03')), 'iec62056.lines')
  assert.is(code(message('1.8.0(1.0*Wh)\r\n\x04')), 'iec62056.cut')
  assert.is(code(message('1.8.0(1.\x000*Wh)\r\n!\r\n\x03')), 'iec62056.character')
  assert.is(code(utf8('/TLN5x\r\nx')), 'iec62056.character')
  // A P1 telegram has its CRC behind the "!": it is not taken for one without.
  assert.is(code(utf8('/TLN5x\r\n\r\n1-0:1.8.0(1.0*Wh)\r\n!1234\r\n')), 'iec62056.character')
  assert.is(code(utf8(`/TLN5x\r\n\x02${'a'.repeat(IEC62056_FRAME_MAX + 1)}`)), 'iec62056.too-long')
})

test('endless input is held in bounded memory and read in time that grows with its length', () => {
  const quarter = 1 << 18
  for (const [name, pattern] of [
    ['starts', '/'],
    ['starts inside of brackets', '/TLN3x\r\n\r\n('],
    ['identifications', '/TLN5x\r\n\x02'],
    ['open messages', '/TLN5x\r\n\x021.8.0('],
    ['pushed', '/TLN5x\r\n\r\n'],
    ['text', 'a'],
    ['brackets', '()'],
  ] as const) {
    const gather = new Gather(decodeIec62056)
    const bytes = utf8(pattern.repeat(Math.ceil(quarter / pattern.length)))
    const before = process.cpuUsage()
    for (let at = 0; at < bytes.length; at += 4096) {
      gather.push(bytes.subarray(at, at + 4096))
      assert.ok(gather.pending <= IEC62056_FRAME_MAX + 4096 + 64, name)
    }
    const { user } = process.cpuUsage(before)
    assert.ok(user < 2_000_000, `${name}: ${user} us a quarter of a MB`)
  }
  const line = `1.8.0(${'1'.repeat(4000)}`
  assert.is(readLines(...Array(3).fill(`${'(1)'.repeat(1000)}`)).values.length, 0)
  assert.is(code(utf8(`/TLN5x\r\n${dataMessageText([line])}`)), 'iec62056.cut')
})

const OTHER = iecCapture(
  'TLN5model-1',
  LINES.map(line => line.replace('0012345.678', '0012346.001')),
  'none',
)
const OTHER_PARITY = iecCapture(
  'TLN5model-1',
  LINES.map(line => line.replace('0012345.678', '0012346.001')),
  'even-in-bit-7',
)

test('40,000 mutated telegrams: no throw, none hides the next; what passes the weak check is counted', () => {
  for (const [name, telegrams, most] of [
    ['iec62056 BCC', [FRAME, OTHER], 0.02],
    ['iec62056 BCC and parity', [WITH_PARITY, OTHER_PARITY], 0.01],
  ] as const) {
    const seen = fuzz({ telegrams, decode: decodeIecTelegram, count: 20_000, seed: 62 })
    process.stdout.write(
      `${name}: ${seen.mutants} mutants, ${seen.passed} pass the check, ${seen.wrong} of them wrong alone\n`,
    )
    assert.equal([seen.hidden, seen.thrown], [0, 0], seen.example)
    // What this check promises: one damaged message in 128, and with parity fewer; damage before the STX always passes.
    assert.ok(seen.wrong < most * seen.mutants, `${seen.wrong} wrong`)
  }
})

test('100,000 mutated telegrams: the rule of two readouts leaves none of those that pass: beside a good one, no wrong value is said twice', () => {
  const { passed, wrongAlone, wrongTwice, examples } = mutateReadouts(FRAME, decodeIecTelegram, 7)
  assert.equal(examples, [])
  process.stdout.write(
    `iec62056: ${passed} of 100,000 mutants pass, ${wrongAlone} wrong alone, 0 beside a good one, ${wrongTwice} beside each other\n`,
  )
  assert.ok(wrongAlone > 10, `${wrongAlone}: the rule had nothing to do`)
  // Two corrupted readouts in a row that pass and say the same, by chance.
  assert.ok(wrongTwice <= 3, `${wrongTwice}`)
})

test.run()

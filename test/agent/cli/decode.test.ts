/** What recordings say on the command line: forms of files, stretches of junk, keys that are never repeated. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { framesOf } from '../../../agent/cli/meters/frames.ts'
import { readRecording } from '../../../agent/cli/meters/recording.ts'
import { tellFile } from '../../../agent/cli/site-file.ts'
import { encodeChunk, encodeHeader } from '../../../drivers/line/capture.ts'
import { concat, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { decodeSml } from '../../../protocol/telegram/sml.ts'
import { encodeSml } from '../../../protocol/telegram/sml-write.ts'
import { noSharedData, sharedPath, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'tieline-decode-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const write = (name: string, content: string | Uint8Array) => {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}

/** 4426.7 kWh imported, -28.3 W now. */
const SML = encodeSml({
  serverId: hex('0a 01 54 49 4c 00 00 00 00 01'),
  maker: 'TIL',
  seconds: 7,
  sequence: 1,
  values: [
    { obis: '1-0:1.8.0', value: 44_267n, scaler: 2, unit: 'Wh' },
    { obis: '1-0:16.7.0', value: -283n, scaler: -1, unit: 'W' },
  ],
})
const SML_JSON = {
  ok: true,
  meter: '0a0154494c0000000001',
  values: [
    { obis: '1-0:1.8.0', value: '44267', scaler: 2, unit: 'Wh' },
    { obis: '1-0:16.7.0', value: '-283', scaler: -1, unit: 'W' },
  ],
}

const test = suite('cli decode')

test.skipIf(
  noSharedData,
  'a P1 telegram is said in its own units, a value that is not of now with its time; people see both',
  async () => {
    const path = sharedPath('dsmr/telegram_v5.txt')
    const { exit, out, json } = await runTieline(['decode', 'dsmr', path, '--json'])
    assert.is(exit, 0)
    const text = sharedText('dsmr/telegram_v5.txt')
    const id = /0-0:96\.1\.1\(([0-9A-F]+)\)/.exec(text)![1]!
    const meter = Buffer.from(id, 'hex').toString()
    // 1-0:1.8.1(000004.426*kWh), and 0-1:24.2.1(101209112500W)(...*m3): the fields in this order.
    assert.ok(
      out.startsWith(
        `{"ok":true,"meter":"${meter}","values":[{"obis":"1-0:1.8.1","value":"4426","scaler":-3,"unit":"kWh"},`,
      ),
      out,
    )
    // Nothing is said that does not stand in the text, such as the sum of both tariffs.
    for (const { obis } of json()[0].values) assert.ok(text.includes(`${obis}(`), obis)
    const [, at, cubic] = /0-1:24\.2\.1\((\d{12}[SW])\)\((\d+\.\d+)\*m3\)/.exec(text)!
    const gas = json()[0].values.find(({ obis }: { obis: string }) => obis === '0-1:24.2.1')
    assert.equal(gas, {
      obis: '0-1:24.2.1',
      value: String(Number(cubic!.replace('.', ''))),
      scaler: -3,
      unit: 'm3',
      at,
    })
    const people = await runTieline(['decode', 'dsmr', path])
    const [year, month, day, hour, minute, second] = at!.match(/../g)!
    assert.ok(
      people.out.includes(
        ` m3, of 20${year}-${month}-${day} ${hour}:${minute}:${second} ${at!.endsWith('S') ? 'summer' : 'winter'} time\n`,
      ),
      people.out,
    )
  },
)

test.skipIf(noSharedData, 'a DLMS recording whose check fails is one fault, its closing flag included', async () => {
  const { exit, json, err } = await runTieline([
    'decode',
    'dlms',
    sharedPath('dlms/hdlc_landis_gyr_zmf100.log'),
    '--json',
  ])
  assert.is(exit, 1)
  assert.is(json().length, 1)
  const { ok, fault } = json()[0]
  assert.equal([ok, fault.code, fault.offset, fault.bytes], [false, 'dlms.crc', 0, 396])
  assert.is(err.trimEnd().split('\n').length, 2)
})

test('a frame is one JSON line, whether it comes as bytes or as hex text with comments', async () => {
  const rows = toHex(SML).replace(/(.{32})/g, '$1\n')
  for (const file of [
    write('frame.bin', SML),
    write('frame.hex', `# an infrared eye\n${rows} # the end\n`),
    write('frame.colons', toHex(SML).toUpperCase().match(/../g)!.join(':')),
  ]) {
    const { exit, json, err } = await runTieline(['decode', 'sml', file, '--json'])
    assert.equal(json(), [SML_JSON])
    assert.is(err, '')
    assert.is(exit, 0)
  }
})

test('people see words and natural units', async () => {
  const { exit, out } = await runTieline(['decode', 'sml', write('frame.bin', SML)])
  assert.is(exit, 0)
  assert.is(
    out,
    '0a0154494c0000000001\n  1-0:1.8.0   energy imported         4426.7 kWh\n  1-0:16.7.0  power, import positive  -28.3 W\n',
  )
})

test('a stretch of junk between frames is one line with its place, and costs no frame', async () => {
  // Junk with a false beginning in it: an escape that no start mark follows.
  const junk = hex('00 1b 1b 1b 55 aa')
  const damaged = SML.slice()
  damaged[60]! ^= 1
  const file = write('junk.bin', concat(junk, SML, damaged, SML))
  const { exit, json } = await runTieline(['decode', 'sml', file, '--json'])
  assert.equal(json(), [
    { ok: false, fault: { code: 'sml.noise', bytes: 6, offset: 0 } },
    SML_JSON,
    { ok: false, fault: { ...json()[2].fault, code: 'sml.crc', offset: 6 + SML.length, bytes: SML.length } },
    SML_JSON,
  ])
  assert.is(exit, 1)
})

test('a recording cut short at any byte gives its whole frames, one last line of the cut, and leaves with 1', async () => {
  for (let length = SML.length + 1; length < 2 * SML.length; length += 17) {
    const file = write('cut.bin', concat(SML, SML).subarray(0, length))
    const { exit, json } = await runTieline(['decode', 'sml', file, '--json'])
    assert.equal(json()[0], SML_JSON)
    const { fault } = json().at(-1)
    assert.is(fault.code, 'decode.cut', `${length}`)
    assert.is(fault.offset, SML.length)
    assert.is(fault.bytes, length - SML.length)
    assert.ok(fault.need >= 1 && fault.need <= 2 * SML.length - length)
    assert.is(json().length, 2)
    assert.is(exit, 1)
  }
})

test('a false beginning that waits for more than there is does not hide the frame behind it', () => {
  // A start mark of a frame that was never sent, then a whole frame without its own start's first byte repeated.
  const stretches = [...framesOf(concat(SML.subarray(0, 8), SML.subarray(8, 40), SML), decodeSml)]
  assert.equal(
    stretches.map(({ kind, at }) => [kind, at]),
    [
      ['junk', 0],
      ['frame', 40],
    ],
  )
})

const P1 = 'dsmr/telegram_v5.txt'

test.skipIf(
  noSharedData,
  'a P1 telegram whose line ends an editor has changed is read, its checksum as sent',
  async () => {
    const asSent = await runTieline(['decode', 'dsmr', sharedPath(P1), '--json'])
    assert.is(asSent.exit, 0)
    const lf = sharedText(P1).replaceAll('\r', '')
    for (const text of [lf, lf.trimEnd(), sharedText(P1).trimEnd()]) {
      assert.is((await runTieline(['decode', 'dsmr', write('p1.txt', text), '--json'])).out, asSent.out)
    }
    const imported = asSent.json()[0].values[0]
    // The text itself: 1-0:1.8.1(000004.426*kWh).
    assert.equal(imported, { obis: '1-0:1.8.1', value: '4426', scaler: -3, unit: 'kWh' })
    const changed = await runTieline(['decode', 'dsmr', write('p1.txt', lf.replace('4.426', '4.427')), '--json'])
    assert.is(changed.json()[0].fault.code, 'dsmr.crc')
    assert.is(changed.exit, 1)
  },
)

test.skipIf(noSharedData, 'sound frames of real captures all come out, and what is between them is named', async () => {
  const { exit, json } = await runTieline(['decode', 'sml', sharedPath('sml/ISKRA_MT175_eHZ.bin'), '--json'])
  const lines = json()
  // Every frame of this capture begins with its start mark; the last one is cut.
  const raw = readFileSync(sharedPath('sml/ISKRA_MT175_eHZ.bin')).toString('hex')
  const marks = raw.match(/1b1b1b1b01010101/g)!.length
  assert.is(lines.filter(line => line.ok).length, marks - 1)
  assert.is(lines.at(-1).fault.code, 'decode.cut')
  assert.is(exit, 1)
})

test('a kind that is not known, with the nearest known one', async () => {
  const { exit, err, out } = await runTieline(['decode', 'dsmrr', 'x'])
  assert.is(exit, 2)
  assert.is(out, '')
  assert.match(err, /^tieline decode: unknown kind "dsmrr", did you mean "dsmr"\?; --help shows how\n$/)
})

test('a file that is not there, is empty, or is not permitted is one line and its code', async () => {
  const none = await runTieline(['decode', 'sml', join(folder, 'none')])
  assert.is(none.exit, 74)
  assert.match(none.err, /^tieline decode: .*none: no such file\n$/)
  assert.is((await runTieline(['decode', 'sml', folder])).exit, 74)
  for (const content of ['', '\n', '# a comment alone\n']) {
    const empty = await runTieline(['decode', 'sml', write('empty', content)])
    assert.is(empty.exit, 1)
    assert.match(empty.err, /there is nothing in it\n$/)
  }
})

test('a file that this user may not read is a lack of permission', () => {
  let err = ''
  const terminal = { out: () => {}, err: (text: string) => (err += text), colour: false, env: {} }
  const fault = { code: 'file.permission', file: 'a.bin', hint: 'run as a user who may read it' } as const
  assert.is(tellFile(fault, 'tieline decode', terminal), 77)
  assert.is(err, 'tieline decode: a.bin: permission denied; run as a user who may read it\n')
})

test('a malformed key is usage, and neither it nor a good one is ever said', async () => {
  const file = write('frame.bin', SML)
  const bad = '00112233445566778899aabbccddeeXX'
  for (const [args, env] of [
    [['--key', bad], {}],
    [['--auth-key', bad], {}],
    [['--key-file', write('bad.key', bad)], {}],
    [[], { TIELINE_KEY: bad }],
    [[], { TIELINE_AUTH_KEY: bad }],
  ] as const) {
    const { exit, err, out } = await runTieline(['decode', 'sml', file, ...args], { env })
    assert.is(exit, 2, args.join(' '))
    assert.is(out, '')
    assert.match(err, /32 hexadecimal digits/)
    assert.not.ok(err.includes(bad.slice(0, 8)))
  }
  const good = bad.replace('XX', 'ff')
  const fine = await runTieline(['decode', 'sml', file, '--key', good])
  assert.is(fine.exit, 0)
  assert.not.ok((fine.out + fine.err).includes(good.slice(0, 8)))
  assert.is((await runTieline(['decode', 'sml', file, '--key', good, '--key-file', file])).exit, 2)
  assert.is((await runTieline(['decode', 'sml', file, '--key-file', join(folder, 'none')])).exit, 74)
})

test('standard input is read for -', () => {
  const main = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
  const child = spawnSync(process.execPath, ['--import', 'tsx', main, 'decode', 'sml', '-', '--json'], { input: SML })
  assert.is(child.status, 0, String(child.stderr))
  assert.equal(JSON.parse(String(child.stdout)), SML_JSON)
})

test('what never ends is refused', async () => {
  const device = await runTieline(['decode', 'sml', '/dev/zero'])
  assert.is(device.exit, 74)
  assert.is(device.err, 'tieline decode: /dev/zero: cannot be read (more than 256 MiB)\n')
})

test('hex that is none, and binary that looks like text, stay as they are', () => {
  const bytes = (raw: Uint8Array) => must(readRecording(raw, false)).bytes
  // 1b 1b 1b 1b is valid UTF-8, and 0x1b is no character of text.
  assert.equal(bytes(SML), SML)
  assert.equal(bytes(utf8('12 34 5x')), utf8('12 34 5x\r\n'))
  const odd = readRecording(utf8('1b1b 0x1b, 1 # cut'), false)
  assert.is(!odd.ok && odd.fault.code, 'decode.odd-hex')
  assert.equal(bytes(utf8('12 34 56')), hex('12 34 56'))
})

test('a capture gives what came from the device, of a Modbus line both directions, and a cut one says so', async () => {
  const header = { line: '/dev/ttyUSB0', baud: 9600, format: '8N1', started: '2026-11-23T02:42:50.000Z' }
  const chunk = (t: number, dir: 'rx' | 'tx', bytes: Uint8Array) => encodeChunk({ t, dir, bytes })
  const sml =
    encodeHeader(header) +
    chunk(0, 'rx', SML.subarray(0, 33)) +
    chunk(30, 'tx', hex('ff')) +
    chunk(31, 'rx', SML.subarray(33))
  const good = await runTieline(['decode', 'sml', write('sml.capture', sml), '--json'])
  assert.equal(good.json(), [SML_JSON])
  assert.is(good.exit, 0)
  const cut = await runTieline(['decode', 'sml', write('sml.capture', `${sml}{"t":1000,"dir":"rx","he`), '--json'])
  assert.equal(cut.json(), [SML_JSON, { ok: false, fault: { code: 'capture.cut', line: 5 } }])
  assert.is(cut.exit, 1)
  const modbus =
    encodeHeader(header) +
    chunk(0, 'tx', hex('01 04 00 00 00 02 71 cb')) +
    chunk(9, 'rx', hex('01 04 04 43 66 33 33 5a fa'))
  const { json } = await runTieline(['decode', 'modbus', write('line.capture', modbus), '--json'])
  assert.equal(
    json().map(({ frame }) => frame),
    ['request', 'answer'],
  )
})

test('modbus: requests, answers and exceptions of one line, registers in hex as they stood on the wire', async () => {
  // Checksums from the bitwise algorithm of MODBUS over Serial Line V1.02, 6.2.2, run elsewhere.
  const frames = `
    01 04 00 00 00 02 71 cb   # voltage of an SDM630
    01 04 04 43 66 33 33 5a fa
    01 06 00 01 00 03 98 0b   # a write, and its answer, which repeats it
    01 06 00 01 00 03 98 0b
    11 83 02 c1 34            # an exception without its request
    ff ff
  `
  const { exit, json } = await runTieline(['decode', 'modbus', write('line.hex', frames), '--json'])
  assert.equal(
    json().map(({ ok, frame, registers, exception }) => ({ ok, frame, registers, exception })),
    [
      { ok: true, frame: 'request', registers: undefined, exception: undefined },
      { ok: true, frame: 'answer', registers: ['4366', '3333'], exception: undefined },
      { ok: true, frame: 'request', registers: ['0003'], exception: undefined },
      { ok: true, frame: 'answer', registers: undefined, exception: undefined },
      { ok: true, frame: 'exception', registers: undefined, exception: 2 },
      { ok: false, frame: undefined, registers: undefined, exception: undefined },
    ],
  )
  assert.is(exit, 1)
})

test.skipIf(
  noSharedData,
  'modbus: every frame of the published ones whose CRC its author gives as right comes out',
  async () => {
    const published = JSON.parse(sharedText('modbus/bsm-ws36a-frames.json')) as {
      hex: string
      dir: string
      crcOk: boolean
      crcOrder: string
    }[]
    for (const { hex: bytes, dir, crcOk, crcOrder } of published) {
      if (bytes === '' || crcOrder !== 'wire') continue
      const { json } = await runTieline(['decode', 'modbus', write('one.hex', bytes), '--json'])
      assert.is(json()[0].ok, crcOk, bytes)
      if (crcOk && dir === 'request') assert.is(json()[0].frame, 'request')
    }
  },
)

test.run()

/** The committed program is what its source says, and small: built anew by the lines of hw/firmata/README.md. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { armMessage, switchMessage } from '../../../drivers/relays/relay-firmware.ts'
import { createAvrBoard, readIntelHex } from '../../../hw/sim/avr-board.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { CYCLES_MS, closedPins, firmwareBench, PINS, relayHex } from './firmware-bench.ts'
import { noStandardFirmata, STANDARD_HEX } from './standard-firmata.ts'

const test = suite('firmware of a relay board, built')

/** Another version's code differs and does the same. */
const BUILT_WITH = '5.4.0'
const FLASH_AT_MOST = 4096
const MEMORY_AT_MOST = 512

function compilerVersion(): string | undefined {
  try {
    return execFileSync('avr-gcc', ['-dumpversion'], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

const version = compilerVersion()
const noCompiler = version === undefined ? 'no-avr-gcc' : undefined
const otherCompiler = noCompiler ?? (version === BUILT_WITH ? undefined : 'other-avr-gcc')

/** The lines of the README, with these options added. */
function build(...options: readonly string[]): { readonly hex: string; readonly sizes: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-firmware-'))
  try {
    cpSync('hw/firmata/relay.c', join(folder, 'relay.c'))
    const lines = readFileSync('hw/firmata/README.md', 'utf8').match(/^avr-(?:gcc|objcopy) .*$/gm) ?? []
    assert.is(lines.length, 2)
    for (const [at, line] of lines.entries()) {
      const [program, ...rest] = line.split(' ')
      execFileSync(program!, at === 0 ? [...options, ...rest] : rest, { cwd: folder, stdio: 'pipe' })
    }
    return {
      hex: readFileSync(join(folder, 'relay.hex'), 'utf8'),
      sizes: execFileSync('avr-size', ['relay.elf'], { cwd: folder, encoding: 'utf8' }),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test.skipIf(otherCompiler, 'the committed program is what its source is compiled to, byte for byte', () => {
  assert.equal(must(readIntelHex(build().hex)), must(readIntelHex(relayHex())))
})

test.skipIf(noCompiler, 'it takes little flash and memory', () => {
  const [text, data, bss] = build().sizes.split('\n')[1]!.trim().split(/\s+/).map(Number)
  assert.ok(text! + data! <= FLASH_AT_MOST, `${text! + data!} bytes of flash`)
  assert.ok(data! + bss! <= MEMORY_AT_MOST, `${data! + bss!} bytes of memory`)
})

test('the committed program is small', () => {
  const flash = must(readIntelHex(relayHex()))
  const used = flash.findLastIndex(byte => byte !== 0xff) + 1
  assert.ok(used > 1000 && used <= FLASH_AT_MOST, `${used} bytes`)
})

test.skipIf(noCompiler, 'whichever compiler built it, it closes when told and opens when not', () => {
  const bench = firmwareBench(build().hex)
  bench.ask(armMessage(1, 1, 100, PINS))
  bench.ask(switchMessage(2, 1, 4, true))
  assert.equal(closedPins(bench), [4])
  bench.run(102)
  assert.equal(closedPins(bench), [])
})

test.skipIf(
  noCompiler,
  'pins that are named at compile time are at their open level before anybody arms the board',
  () => {
    const bench = firmwareBench(build('-DOPEN_HIGH_D=0x10', '-DOPEN_LOW_B=0x02').hex)
    assert.equal(
      bench.events.map(({ pin, drive }) => `${pin} ${drive}`),
      ['4 pulled-up', '4 high', '9 low'],
    )
    assert.ok(bench.events.at(-1)!.cycle < CYCLES_MS / 5, `${bench.events.at(-1)!.cycle} cycles`)
  },
)

test.skipIf(noStandardFirmata, 'a program file that is damaged, too long or without an end is refused', () => {
  const end = { write: () => {}, onBytes: () => {}, unplug: () => {}, close: async () => {} }
  const codeOf = (hex: string) => {
    const made = createAvrBoard({ hex, end })
    return made.ok ? 'ok' : made.fault.code
  }
  assert.is(codeOf(STANDARD_HEX), 'ok')
  assert.is(codeOf(relayHex().replace(':10', ':11')), 'hex.line')
  assert.is(codeOf(':0100000001FE\n'), 'hex.end')
  assert.is(codeOf(':017FFF000180\n:018000000100\n'), 'hex.line')
  assert.is(codeOf(':01800000017E\n:00000001FF\n'), 'hex.address')
  assert.is(codeOf('not hex\n'), 'hex.line')
})

test.run()

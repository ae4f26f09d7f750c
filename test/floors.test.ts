/** The floors: protocol <- drivers <- agent <- hw, and one importing file for each external package. */
import { assert, suite } from './harness.ts'
import { FLOORS, importsOf, isTest, packageOf, readSources, resolveImport, type Sources } from './sources.ts'

/** What the pure floor may take from outside, and why: verified arithmetic and a strict decoder, both without I/O. */
const PURE_PACKAGES = ['@noble/curves', '@noble/hashes', '@noble/ciphers', 'cborg']

/** Packages that tests reach through one door only. */
const TEST_DOORS: Readonly<Record<string, string>> = { uvu: 'test/harness.ts', 'fast-check': 'test/property.ts' }

const floorOf = (file: string): number => FLOORS.indexOf(file.split('/')[0] as (typeof FLOORS)[number])

/** Imports that climb, and production that reaches into hw/ or test/. */
function upwardImports(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => !isTest(file))
    .flatMap(([file, text]) =>
      importsOf(text)
        .filter(specifier => specifier.startsWith('.'))
        .map(specifier => resolveImport(file, specifier))
        .filter(target => floorOf(target) < 0 || floorOf(target) > floorOf(file))
        .map(target => `${file} imports ${target}`),
    )
}

/** protocol/ is pure: no node: module and only the packages named above. */
function impureProtocol(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => file.startsWith('protocol/'))
    .flatMap(([file, text]) =>
      importsOf(text)
        .filter(specifier => !specifier.startsWith('.') && !PURE_PACKAGES.includes(packageOf(specifier) ?? ''))
        .map(specifier => `${file} imports ${specifier}`),
    )
}

/** An external package that a second product file imports, or that a test reaches past its door. */
function secondImporters(sources: Sources): string[] {
  const importers = new Map<string, Set<string>>()
  const pastDoor: string[] = []
  for (const [file, text] of sources) {
    for (const specifier of importsOf(text)) {
      const name = packageOf(specifier)
      if (name === undefined) continue
      if (isTest(file)) {
        const door = TEST_DOORS[name]
        if (door !== undefined && door !== file) pastDoor.push(`${file} imports ${name}, which only ${door} may`)
        continue
      }
      importers.set(name, (importers.get(name) ?? new Set()).add(file))
    }
  }
  const crowds = [...importers]
    .filter(([, files]) => files.size > 1)
    .map(([name, files]) => `${name} is imported by ${[...files].join(' and ')}`)
  return [...crowds, ...pastDoor]
}

/** A relative import that names no file; extensions are written out, so a look-up is enough. */
function brokenImports(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) =>
    importsOf(text)
      .filter(specifier => /^\..*\.tsx?$/.test(specifier) && !sources.has(resolveImport(file, specifier)))
      .map(specifier => `${file} imports ${specifier}, which is not there`),
  )
}

const sources = readSources()
const planted = (file: string, text: string): Sources => new Map([[file, text]])

const test = suite('floors')

test('a file imports from its own floor or a lower one', () => {
  assert.equal(upwardImports(sources), [])
})

test('an import that climbs is found, in each way of writing it', () => {
  for (const text of [
    "import { openLine } from '../drivers/line/serial.ts'",
    "import type { Line } from '../drivers/ports.ts'",
    "export { Line } from '../drivers/ports.ts'",
    "export * from '../agent/compose.ts'",
    "import '../hw/bench/main.ts'",
    "const late = await import('../drivers/ports.ts')",
    "import {\n  a,\n  b,\n} from '../drivers/ports.ts'",
  ]) {
    assert.is(upwardImports(planted('protocol/time.ts', text)).length, 1, text)
  }
  assert.equal(upwardImports(planted('agent/compose.ts', "import { wires } from '../hw/sim/wires.ts'")), [
    'agent/compose.ts imports hw/sim/wires.ts',
  ])
  assert.is(upwardImports(planted('hw/bench/main.ts', "import { suite } from '../../test/harness.ts'")).length, 1)
})

test('an import that only a comment or a string speaks of is none', () => {
  const text = "// import '../drivers/ports.ts'\nconst hint = \"import x from '../agent/main.ts'\"\n"
  assert.equal(upwardImports(planted('protocol/time.ts', text)), [])
})

test('the pure floor takes nothing from node and only verified arithmetic from outside', () => {
  assert.equal(impureProtocol(sources), [])
})

test('a node module or a stray package on the pure floor is found', () => {
  assert.is(impureProtocol(planted('protocol/time.ts', "import { hrtime } from 'node:process'")).length, 1)
  assert.is(impureProtocol(planted('protocol/cbor.ts', "import { encode } from 'cbor-x'")).length, 1)
})

test('each external package has one importing file, and tests use the doors', () => {
  assert.equal(secondImporters(sources), [])
})

test('a second importing file, or a test past its door, is found', () => {
  const two = new Map([
    ['drivers/bus/mqtt.ts', "import { connect } from 'mqtt'"],
    ['agent/main.ts', "import type { MqttClient } from 'mqtt/client'"],
  ])
  assert.equal(secondImporters(two), ['mqtt is imported by drivers/bus/mqtt.ts and agent/main.ts'])
  assert.is(secondImporters(planted('test/drivers/x.test.ts', "import { suite } from 'uvu'")).length, 1)
  assert.is(secondImporters(planted('test/drivers/x.test.ts', "import fc from 'fast-check'")).length, 1)
})

test('every relative import names a file', () => {
  assert.equal(brokenImports(sources), [])
  assert.is(brokenImports(planted('agent/main.ts', "import { x } from './gone.ts'")).length, 1)
})

test.run()

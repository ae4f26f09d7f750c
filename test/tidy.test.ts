/** Style as a test: what a reviewer would otherwise have to look for in every change. */
import { assert, suite } from './harness.ts'
import {
  codeOnly,
  importsOf,
  isTest,
  readIndexes,
  readSources,
  readText,
  resolveImport,
  type Sources,
  withoutComments,
} from './sources.ts'

/** Where the world begins: programs that are started by hand or by systemd. Everything else must be reached from them. */
const ENTRY_POINTS = [
  'agent/main.ts',
  'agent/update/main.ts',
  'agent/validator/main.ts',
  'agent/web/page/main.tsx',
  'hw/bench/main.ts',
  'hw/sim/main.ts',
  'hw/image/build.ts',
  'hw/image/main.ts',
  'test/cometbft/main.ts',
  'test/image/main.ts',
  'test/run.ts',
]

/** Files that may be longer than a screenful or six, each with its reason. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'test/agent/relays/run.test.ts': 'one control loop under every fault, read from top to bottom',
}
const LINES_MAX = 400

/** The build script is a program of the developer's machine, and the page runs in a browser with the browser's clock. */
const touchesTheWorld = (file: string): boolean =>
  isTest(file) || file.startsWith('drivers/') || file.startsWith('agent/web/page/') || file.startsWith('hw/image/')

/** Programs own their process: its streams, its arguments, its exit code. */
const ownsTheProcess = (file: string): boolean =>
  touchesTheWorld(file) || file.startsWith('agent/cli/') || /^(agent|hw)\/(.+\/)?main\.ts$/.test(file)

/** Modules by which time, chance, files and the network get in; node:crypto because half of it is asynchronous or random. */
const WORLD_MODULES =
  /^node:(fs|net|http|https|http2|tty|child_process|dgram|dns|tls|timers|worker_threads|cluster|perf_hooks|readline|crypto|inspector)(\/|$)/

/** The same as globals. */
const WORLD_GLOBALS: readonly (readonly [string, RegExp])[] = [
  ['Date', /(?<![.\w])Date\s*[.(]/],
  ['a timer', /(?<![.\w])(?:globalThis\.)?(?:setTimeout|setInterval|setImmediate)\b/],
  ['Math.random', /\bMath\s*\.\s*random\b/],
  ['process.hrtime', /\bprocess\s*\.\s*hrtime\b/],
  ['performance', /(?<![.\w])performance\s*\.\s*\w/],
  ['asynchronous crypto', /(?<![.\w])(?:crypto\s*\.|webcrypto\b)|\.subtle\b/],
  ['fetch', /(?<![.\w])fetch\s*\(/],
]

const PROCESS_PARTS = /\bprocess\s*\.\s*(?:stdout|stderr|stdin|exit|exitCode|argv|env|on|once|kill|cwd)\b/

/** A test file whose tests never run: uvu counts it as zero tests and exits 0. */
const neverRuns = (sources: Sources): string[] =>
  [...sources]
    .filter(([file]) => file.endsWith('.test.ts'))
    .filter(([, text]) => !/\.run\(\)\s*$/.test(codeOnly(text)))
    .map(([file]) => `${file} does not end with .run()`)

const leftOnly = (sources: Sources): string[] =>
  [...sources]
    .filter(([file, text]) => isTest(file) && /\.only\s*\(/.test(codeOnly(text)))
    .map(([file]) => `${file} has a left-over .only`)

/** Product and test files that no entry point and no test reaches. */
function deadFiles(sources: Sources): string[] {
  const reached = new Set<string>()
  const queue = [...sources.keys()].filter(file => ENTRY_POINTS.includes(file) || file.endsWith('.test.ts'))
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    for (const specifier of importsOf(sources.get(file)!)) {
      const target = resolveImport(file, specifier)
      if (specifier.startsWith('.') && sources.has(target)) queue.push(target)
    }
    // A program that another program starts is named by its path, not by an import.
    for (const match of withoutComments(sources.get(file)!).matchAll(/['"`](\.{1,2}\/[\w./-]+\.ts)['"`]/g)) {
      const target = resolveImport(file, match[1]!)
      if (sources.has(target)) queue.push(target)
    }
  }
  return [...sources.keys()].filter(file => !reached.has(file)).map(file => `${file} is reached by nothing`)
}

/** Time, chance, files and the network anywhere but in the port files. */
function worldOutsideDrivers(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => !touchesTheWorld(file))
    .flatMap(([file, text]) => {
      const code = codeOnly(text)
      return [
        ...importsOf(text)
          .filter(specifier => WORLD_MODULES.test(specifier))
          .map(specifier => `${file} imports ${specifier}`),
        ...WORLD_GLOBALS.filter(([, use]) => use.test(code)).map(([what]) => `${file} uses ${what}`),
      ]
    })
}

const processOutsidePrograms = (sources: Sources): string[] =>
  [...sources]
    .filter(([file, text]) => !ownsTheProcess(file) && PROCESS_PARTS.test(codeOnly(text)))
    .map(([file]) => `${file} uses the process, which belongs to the program that was started`)

const longFiles = (sources: Sources): string[] =>
  [...sources]
    .map(([file, text]) => [file, text.split('\n').length - 1] as const)
    .filter(([file, lines]) => lines > LINES_MAX && !(file in LONG_FILES))
    .map(([file, lines]) => `${file} has ${lines} lines`)

/** Names that say nothing, and barrels. */
const vagueNames = (sources: Sources): string[] =>
  [...sources.keys()].filter(
    file =>
      /\/(index|utils?|helpers?|common|misc|types)\.tsx?$/.test(file) || !/^[a-z0-9/-]+(\.test)?\.tsx?$/.test(file),
  )

/** A folder's README.md is an index: it names each file of its folder, and no file that is not there. */
function staleIndexes(sources: Sources, indexes: Sources): string[] {
  return [...indexes].flatMap(([index, text]) => {
    const folder = index.slice(0, -'README.md'.length)
    const there = [...sources.keys()]
      .filter(file => file.startsWith(folder) && !file.slice(folder.length).includes('/'))
      .map(file => file.slice(folder.length))
    const named = [...text.matchAll(/^[-|*\s]*`([\w./-]+\.tsx?)`/gm)].map(match => match[1]!)
    return [
      ...there.filter(file => !named.includes(file)).map(file => `${index} does not name ${file}`),
      ...named.filter(file => !sources.has(folder + file)).map(file => `${index} names ${file}, which is not there`),
    ]
  })
}

/** Versions that may move by themselves. */
function looseVersions(packageJson: string): string[] {
  const manifest = JSON.parse(packageJson) as Record<string, Record<string, string> | undefined>
  return ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'].flatMap(kind =>
    Object.entries(manifest[kind] ?? {})
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      .map(([name, version]) => `${name}: ${version}`),
  )
}

const sources = readSources()
const planted = (file: string, text: string): Sources => new Map([[file, text]])

const test = suite('tidy')

test('every test file runs its tests and leaves none singled out', () => {
  assert.equal(neverRuns(sources), [])
  assert.equal(leftOnly(sources), [])
})

test('a test file that forgets to run, or only seems to, is found', () => {
  assert.is(neverRuns(planted('test/x.test.ts', "test('a', () => {})\n")).length, 1)
  assert.is(neverRuns(planted('test/x.test.ts', "test('a', () => {})\n// test.run()\n")).length, 1)
  assert.is(neverRuns(planted('test/x.test.ts', 'test.run()\n')).length, 0)
  assert.is(leftOnly(planted('test/x.test.ts', "test.only('a', () => {})\ntest.run()\n")).length, 1)
})

test('every file is reached from a program or a test', () => {
  assert.equal(deadFiles(sources), [])
})

test('a file that nothing reaches is found, and one that a program starts by its path is not', () => {
  const files = new Map([
    ['agent/main.ts', "import { a } from './a.ts'\nspawn(new URL('./child.ts', import.meta.url))"],
    ['agent/a.ts', ''],
    ['agent/child.ts', ''],
    ['agent/dead.ts', "import { a } from './a.ts'"],
  ])
  assert.equal(deadFiles(files), ['agent/dead.ts is reached by nothing'])
})

test('time, chance, files and the network stay in drivers/', () => {
  assert.equal(worldOutsideDrivers(sources), [])
})

test('each way around the ports is found', () => {
  for (const text of [
    'const now = Date.now()',
    'const now = new Date()',
    'setTimeout(run, 5)',
    'globalThis.setInterval(run, 5)',
    'setImmediate(run)',
    'const dice = Math.random()',
    'process.hrtime.bigint()',
    'performance.now()',
    'crypto.getRandomValues(bytes)',
    'webcrypto.subtle',
    "await fetch('http://127.0.0.1')",
    "import { readFileSync } from 'node:fs'",
    "import { readFile } from 'node:fs/promises'",
    "import { connect } from 'node:net'",
    "import { setTimeout as sleep } from 'node:timers/promises'",
    "import { randomBytes } from 'node:crypto'",
    "const { spawn } = await import('node:child_process')",
  ]) {
    assert.not.equal(worldOutsideDrivers(planted('agent/metering/run.ts', text)), [], text)
    assert.equal(worldOutsideDrivers(planted('drivers/clock.ts', text)), [], text)
  }
})

test('words in comments, strings and names are not taken for the world', () => {
  const text = [
    '// Date.now() would be wall time',
    "const hint = 'setTimeout(x)'",
    'const text = `Math.random $' + '{clock.now()}`',
    'timers.setTimeout = undefined',
    'const validDate = (x: number) => x',
    'const slash = /setTimeout/.test(name) && 4 / 2 / 1',
  ].join('\n')
  assert.equal(worldOutsideDrivers(planted('agent/metering/run.ts', text)), [])
})

test('code inside a template is still code', () => {
  const text = 'const name = `run $' + '{ {a: Date.now()}.a } times`'
  assert.is(worldOutsideDrivers(planted('agent/log.ts', text)).length, 1)
})

test('the process belongs to the programs', () => {
  assert.equal(processOutsidePrograms(sources), [])
  assert.is(processOutsidePrograms(planted('agent/compose.ts', 'process.exit(1)')).length, 1)
  assert.is(processOutsidePrograms(planted('protocol/time.ts', 'process.env.TZ')).length, 1)
  assert.is(processOutsidePrograms(planted('hw/bench/main.ts', 'process.exit(1)')).length, 0)
})

test('no file is too long to read in one go, but those named with a reason', () => {
  assert.equal(longFiles(sources), [])
  assert.is(longFiles(planted('agent/compose.ts', 'x\n'.repeat(LINES_MAX + 1))).length, 1)
  for (const file of Object.keys(LONG_FILES)) assert.ok(sources.has(file), `${file} is allowed but not there`)
})

test('file names are plain and say something', () => {
  assert.equal(vagueNames(sources), [])
  for (const file of ['agent/index.ts', 'drivers/utils.ts', 'protocol/Deal.ts', 'hw/sim/helpers.ts']) {
    assert.is(vagueNames(planted(file, '')).length, 1, file)
  }
})

test('a folder index names each file of its folder', () => {
  assert.equal(staleIndexes(sources, readIndexes()), [])
  const files = planted('hw/sim/wires.ts', '')
  assert.equal(staleIndexes(files, planted('hw/sim/README.md', '- `wires.ts` currents\n')), [])
  assert.is(staleIndexes(files, planted('hw/sim/README.md', '- `meters.ts` bytes\n')).length, 2)
})

test('package versions are exact', () => {
  assert.equal(looseVersions(readText('package.json')), [])
  assert.equal(looseVersions('{"dependencies": {"mqtt": "^5.16.0", "yaml": "2.9.1"}}'), ['mqtt: ^5.16.0'])
})

test.run()

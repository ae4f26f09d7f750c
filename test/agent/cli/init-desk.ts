/** The wizard as a person meets it: at a real pseudo-terminal. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../../agent/config/load.ts'
import { assert } from '../../harness.ts'
import { DOWN, ENTER, sitDown, type Typist } from './typist.ts'

/** Each program starts from its sources, on a machine that may be busy. */
export const DEADLINE_MS = 120_000

/** What is asked, what is typed, and what the kept answers then hold. */
export const STEPS = [
  ['What is this site?', ENTER, 'role', 'household'],
  ['What is it called, among its neighbours?', `elm${ENTER}`, 'site', 'elm'],
  ['Which board does the agent run on?', ENTER, 'board', 'other'],
  ['Which meter is it?', DOWN + ENTER, 'meter1.how', 'typed'],
  ['Which product, or which protocol?', `sdm630${ENTER}`, 'meter1.page', 'eastron-sdm630'],
  ['Where is it? A serial', `127.0.0.1:9${ENTER}`, 'meter1.place', '127.0.0.1:9'],
  ['What is at that address?', ENTER, 'meter1.framing', 'tcp'],
  ['Which Modbus unit (address) has it?', `7${ENTER}`, 'meter1.unit', '7'],
  ['What is it called here?', ENTER, 'meter1.name', 'grid'],
  ['Is there another meter?', ENTER, 'meter2.add', 'no'],
  ['Is there a car charger', ENTER, 'charger.add', 'no'],
  ['Shall Home Assistant', ENTER, 'home_assistant', 'no'],
  ['Shall it trade with neighbours?', ENTER, 'trade', 'no'],
  ['Who may open the page?', ENTER, 'page', 'alone'],
  ['On which port is it?', ENTER, 'page.port', '8480'],
] as const

export async function atDesk<T>(work: (desk: { file: string; state: string; sit(): Promise<Typist> }) => Promise<T>) {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-typed-'))
  const file = join(folder, 'site.yaml')
  const state = join(folder, 'state')
  const env = { XDG_STATE_HOME: state, NO_COLOR: '1' }
  try {
    return await work({ file, state, sit: () => sitDown(['init', '--config', file], env) })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The one file of kept answers. */
export function keptIn(state: string): { readonly file: string; readonly answers: Readonly<Record<string, string>> } {
  const folder = join(state, 'tieline')
  const names = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.json')) : []
  assert.is(names.length, 1, 'one file of kept answers')
  const file = join(folder, names[0]!)
  return { file, answers: JSON.parse(readFileSync(file, 'utf8')) }
}

/** Kept once the next question stands there. */
export async function answer(typist: Typist, n: number): Promise<void> {
  const [asked, keys] = STEPS[n]!
  await typist.sees(asked)
  typist.types(keys)
  await typist.sees(STEPS[n + 1]?.[0] ?? 'The private keys are sealed by')
}

/** Killed with -9 after each of these steps, the last among them, and resumed to its end. */
export const killedAt = (stops: readonly number[]): Promise<void> =>
  atDesk(async ({ file, state, sit }) => {
    let n = 0
    for (const until of stops) {
      const typist = await sit()
      if (n > 0) {
        await typist.sees('You have answered some of this before.')
        typist.types(ENTER)
      }
      for (; n <= until; n++) await answer(typist, n)
      await typist.kill()
      const kept = keptIn(state)
      assert.is(statSync(kept.file).mode & 0o777, 0o600)
      const sofar = Object.fromEntries(STEPS.slice(0, n).map(([, , id, value]) => [id, value]))
      assert.equal(kept.answers, sofar)
      assert.not.ok(existsSync(file))
    }
    const last = await sit()
    await last.sees('You have answered some of this before.')
    last.types(ENTER)
    await last.sees('The private keys are sealed by')
    last.types(ENTER)
    await last.sees(`${file}: written`)
    await last.sees('grid: not read: tcp.gone')
    await last.sees('Make the private keys now?')
    last.types(ENTER)
    await last.sees('Not yet proven:')
    await last.sees('Next:')
    const { code, out } = await last.ended
    assert.is(code, 0)
    assert.not.match(last.screen(), /Warning/)
    assert.is(out, `  tieline check ${file}\n  tieline run --config ${file}\n  curl http://127.0.0.1:8480/metrics\n`)
    const loaded = loadConfig(readFileSync(file, 'utf8'), file)
    assert.ok(loaded.ok)
    assert.is(loaded.ok && 'unit' in loaded.value.meters['grid']! && loaded.value.meters['grid'].unit, 7)
    assert.equal(readdirSync(join(state, 'tieline')), [])
    assert.equal(readdirSync(join(file, '../data/keys')).sort(), ['account', 'metering', 'passphrase', 'sealing'])
    // NO_COLOR: no foreground colour was ever set.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for.
    assert.not.match(last.raw(), /\u001b\[(3[0-7]|9[0-7])m/)
  })

const BENCH = fileURLToPath(new URL('../../../hw/bench/main.ts', import.meta.url))

/** A simulated meter is looked for where it is, and its first reading is taken by what was found. */
export const foundBy = (...where: readonly string[]): Promise<void> =>
  atDesk(async ({ file, sit }) => {
    const flags = ['meter', '--page', 'eastron-sdm630', '--serial', '41000777', ...where]
    const meter = spawn(process.execPath, ['--import', 'tsx', BENCH, ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise(resolve => meter.once('close', resolve))
    try {
      let said = ''
      const place = await new Promise<string>(resolve =>
        meter.stdout.on('data', chunk => {
          said += chunk
          const at = /^tieline read .*--(?:line|tcp) (\S+).*\n/m.exec(said)?.[1]
          if (at !== undefined) resolve(at)
        }),
      )
      const typist = await sit()
      for (let n = 0; n < 3; n++) await answer(typist, n)
      typist.types(ENTER)
      await typist.sees('Where is it to be looked for?')
      typist.types(`${place}${ENTER}`)
      await typist.sees('1 found.')
      await typist.sees('eastron-sdm630, unit 1, serial 41000777')
      typist.types(ENTER)
      for (const asked of ['What is it called here?', ...STEPS.slice(9).map(([it]) => it), 'The private keys']) {
        await typist.sees(asked)
        typist.types(ENTER)
      }
      await typist.sees('grid: serial 41000777, 1-0:1.8.0 ')
      const loaded = loadConfig(readFileSync(file, 'utf8'), file)
      assert.is(loaded.ok && loaded.value.meters['grid']?.id, '41000777')
      await typist.kill()
    } finally {
      meter.kill()
      await ended
    }
  })

/** A newcomer with the README alone: each command is one that the README or the program before it has printed. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../eventually.ts'
import { assert, suite } from '../harness.ts'
import { without } from '../programs.ts'
import { freePort, lineOf, openDesk, ROOT } from './journey-desk.ts'
import { noMosquitto, startMosquitto } from './real-mosquitto.ts'

const test = suite('journey')
const noSubscriber = without('no-mosquitto', 'mosquitto_sub', '--help')
const DEADLINE_MS = 180_000
test.skipIf(
  noMosquitto ?? noSubscriber,
  'from a simulated meter to a configuration, a reading and the message that Home Assistant finds it by',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tieline-journey-'))
    const readme = readFileSync(`${ROOT}README.md`, 'utf8')
    const broker = await startMosquitto({ conf: ['allow_anonymous true'], folder: join(folder, 'mosquitto') })
    const desk = await openDesk()
    const { run, start } = desk
    try {
      assert.match(readme, 'tieline-bench meter --page eastron-sdm630')
      const meter = start('tieline-bench meter --page eastron-sdm630')
      const said = await meter.says(/^tieline read .*$/m)
      const readCommand = /^tieline read .*$/m.exec(said)![0]
      const read = await run(readCommand, folder)
      assert.is(read.code, 0, read.err)

      const file = join(folder, 'site.yaml')
      const answers = join(folder, 'answers.yaml')
      // The flags of the command that has just read it are the answer.
      const found = readCommand.replace('tieline read ', '')
      // The page's usual port may be somebody else's on the machine of a test.
      const port = await freePort()
      writeFileSync(
        answers,
        `site: elm\nmeter1.how: search\nmeter1.found: ${found}\nhome_assistant: yes\nbroker.url: mqtt://127.0.0.1:${broker.port}\npage.port: ${port}\n`,
      )
      const made = await run(`tieline init --config ${file} --answers ${answers}`, folder)
      assert.is(made.code, 0, made.err)
      assert.match(made.err, /grid: serial \S+/)
      const command = (start: string) => lineOf(made.out, start)
      const checked = await run(command('tieline check'), folder)
      assert.is(checked.code, 0, checked.err)
      const keys = await run(command('tieline key init'), folder)
      assert.is(keys.code, 0, keys.err)
      assert.ok(existsSync(join(folder, 'data/keys/metering')))

      const agent = start(command('tieline run'))
      await agent.says(/elm runs, page at/)
      const discovery = await run(command('mosquitto_sub'), folder)
      assert.is(discovery.code, 0, discovery.err)
      assert.match(discovery.out, /^homeassistant\/device\/tieline_elm\/config \{/)
      const known = Object.values(JSON.parse(discovery.out.slice(discovery.out.indexOf('{'))).cmps ?? {})
      assert.type(known, 'object')
      await eventually(async () => {
        const metrics = await run(command('curl'), folder)
        assert.match(metrics.out, /tieline_energy_import_joules_total\{.*meter="grid"/)
      })
      const snapshot = await (await fetch(`http://127.0.0.1:${port}/api/snapshot`)).json()
      assert.match(JSON.stringify(snapshot), '"elm"')
    } finally {
      await desk.close()
      await broker.close()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  DEADLINE_MS,
)

test.run()

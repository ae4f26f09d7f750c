/** A newcomer with the README alone: each command is one that the README or the program before it has printed. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closing } from '../closing.ts'
import { eventually } from '../eventually.ts'
import { freePort } from '../free-port.ts'
import { assert, suite } from '../harness.ts'
import { without } from '../programs.ts'
import { lineOf, openDesk, ownFolder, ROOT } from './journey-desk.ts'
import { noMosquitto, startMosquitto } from './real-mosquitto.ts'

const test = suite('journey')
const noSubscriber = without('no-mosquitto', 'mosquitto_sub', '--help')
const DEADLINE_MS = 180_000
test.skipIf(
  noMosquitto ?? noSubscriber,
  'from a simulated meter to a configuration, a reading and the message that Home Assistant finds it by',
  closing(async later => {
    const folder = ownFolder(later, 'journey')
    const readme = readFileSync(`${ROOT}README.md`, 'utf8')
    const broker = await startMosquitto({ conf: ['allow_anonymous true'], folder: join(folder, 'mosquitto') })
    later(broker.close)
    const { run, done, start, meter } = await openDesk(later, folder)
    assert.match(readme, 'tieline-bench meter --page eastron-sdm630')
    // The flags of the command that has just read it are the answer.
    const found = await meter('')
    await done(`tieline read ${found}`)

    const file = join(folder, 'site.yaml')
    const answers = join(folder, 'answers.yaml')
    // The page's usual port may be somebody else's on the machine of a test.
    const port = await freePort()
    writeFileSync(
      answers,
      `site: elm\nmeter1.how: search\nmeter1.found: ${found}\nhome_assistant: yes\nbroker.url: mqtt://127.0.0.1:${broker.port}\npage.port: ${port}\n`,
    )
    const made = await run(`tieline init --config ${file} --answers ${answers}`)
    assert.is(made.code, 0, made.err)
    assert.match(made.err, /grid: serial \S+/)
    const command = (start: string) => lineOf(made.out, start)
    await done(command('tieline check'))
    await done(command('tieline key init'))
    assert.ok(existsSync(join(folder, 'data/keys/metering')))

    const agent = start(command('tieline run'))
    await agent.says(/elm runs, page at/)
    const discovery = await done(command('mosquitto_sub'))
    assert.match(discovery, /^homeassistant\/device\/tieline_elm\/config \{/)
    const known = Object.values(JSON.parse(discovery.slice(discovery.indexOf('{'))).cmps ?? {})
    assert.type(known, 'object')
    await eventually(async () => {
      const metrics = await run(command('curl'))
      assert.match(metrics.out, /tieline_energy_import_joules_total\{.*meter="grid"/)
    })
    const snapshot = await (await fetch(`http://127.0.0.1:${port}/api/snapshot`)).json()
    assert.match(JSON.stringify(snapshot), '"elm"')
  }),
  DEADLINE_MS,
)

test.run()

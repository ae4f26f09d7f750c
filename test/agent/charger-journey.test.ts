/**
 * A newcomer with a charger that does not exist: two simulated meters and a simulated station, found and typed into the wizard,
 * then the agent. What the car was given is judged by the station's own registers, as the bench prints them.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closing } from '../closing.ts'
import { freePort } from '../free-port.ts'
import { assert, suite } from '../harness.ts'
import { lineOf, openDesk, ownFolder } from './journey-desk.ts'

const test = suite('charger journey')
/** Half a minute on a machine at rest. */
const DEADLINE_MS = 600_000
const FUSE_MA = 16_000
/** A home's half of 2.3 kW, at 230 V on L1 give or take its wandering volts. */
const HOME_L1_MA = 5_000
const WANDER_MA = 200

interface Seen {
  readonly state: string
  readonly offered_ma: number
  readonly drawn_ma: number
}

test(
  'a charger out of the wizard is held to what the fuse leaves, its session is seen, and without the agent it stops by itself',
  closing(async later => {
    const folder = ownFolder(later, 'charger')
    const desk = await openDesk(later, folder)
    const { done } = desk
    const [grid, garage] = await Promise.all([
      desk.meter(' --serial 41000001 --power=2300W'),
      desk.meter(' --serial 41000002 --power=3kW'),
    ])
    const station = desk.start('tieline-bench charger --controller amperfied --json')
    /** The station's registers, oldest first; the first line says where it is. */
    const seen = async (): Promise<readonly Seen[]> =>
      (await station.says(/offered_ma/))
        .trimEnd()
        .split('\n')
        .slice(1)
        .map(line => JSON.parse(line))
    const { place } = JSON.parse((await station.says(/\n/)).split('\n')[0]!)
    assert.equal((await seen())[0], { state: 'C', offered_ma: 16_000, drawn_ma: 0 })

    const file = join(folder, 'site.yaml')
    const answers = join(folder, 'answers.yaml')
    const port = await freePort()
    writeFileSync(
      answers,
      `role: charger
site: spark
meter1.how: search
meter1.found: ${grid} --id 41000001
meter2.add: yes
meter2.how: search
meter2.found: ${garage} --id 41000002
meter2.name: garage
charger.controller: amperfied
charger.place: ${place}
charger.fuse: ${FUSE_MA / 1000}A
charger.meter: garage
page.port: ${port}
`,
    )
    const next = await done(`tieline init --config ${file} --answers ${answers}`)
    await done(lineOf(next, 'tieline check'))
    await done(lineOf(next, 'tieline key init'))
    const agent = desk.start(lineOf(next, 'tieline run'))
    await agent.says(/spark runs, page at/)

    const until = async (holds: () => Promise<boolean>) => {
      while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 250))
    }
    const last = async () => (await seen()).at(-1)!
    const free = FUSE_MA - HOME_L1_MA
    await until(async () => {
      const { offered_ma, drawn_ma } = await last()
      return offered_ma > 0 && offered_ma <= free + WANDER_MA && drawn_ma === offered_ma
    })
    // Not merely the least that there is: most of what the fuse leaves.
    await until(async () => (await last()).offered_ma >= free - 2_000)
    const { offered_ma: given } = await last()
    assert.ok(given + HOME_L1_MA <= FUSE_MA + WANDER_MA, `${given} mA beside the home's ${HOME_L1_MA} mA`)

    // biome-ignore lint/suspicious/noExplicitAny: what is expected of it, the assertions say.
    const ask = async (path: string): Promise<any> => (await fetch(`http://127.0.0.1:${port}${path}`)).json()
    await until(async () => (await ask('/api/sessions')).sessions?.length > 0)
    const { sessions } = await ask('/api/sessions')
    assert.is(sessions.length, 1)
    assert.equal([sessions[0].port, sessions[0].state], ['charger', 'open'])
    assert.match(sessions[0].tariff, '0.39')
    const [shown] = (await ask('/api/snapshot')).sites[0].chargers
    assert.is(shown.state, 'C')
    assert.ok(shown.toldMa > 0 && shown.toldMa <= free + WANDER_MA, `told ${shown.toldMa} mA`)

    agent.child.kill('SIGTERM')
    await until(async () => (await last()).offered_ma === 0)
  }),
  DEADLINE_MS,
)

test.run()

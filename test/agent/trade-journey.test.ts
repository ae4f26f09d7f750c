/**
 * Two newcomers with the README alone: a ledger and a broker of their own, a simulated meter and the wizard each. They trade.
 * No line of a configuration is written by hand; what was traded is judged by the ledger's audit and by the two wallets.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closing } from '../closing.ts'
import { freePort } from '../free-port.ts'
import { assert, suite } from '../harness.ts'
import { lineOf, openDesk, ownFolder } from './journey-desk.ts'
import { noMosquitto, startMosquitto } from './real-mosquitto.ts'

const test = suite('trade journey')
/** A minute on a machine at rest. */
const DEADLINE_MS = 600_000
/** What the README has each start its meter with, and the serial that the ledger then knows it by. */
const SELLER = { name: 'elm', meter: '--power=-5kW', serial: 41000101, sells: 'yes', buys: 'no' }
const BUYER = { name: 'oak', meter: '--serial 41000102 --power=5kW', serial: 41000102, sells: 'no', buys: 'yes' }
/** What `enrol` gives each, in millionths of a coin. */
const GIVEN = 1_000_000_000n

test.skipIf(
  noMosquitto,
  'two sites that were set up by their wizards find each other, make a deal over the grid and are paid',
  closing(async later => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    for (const { meter } of [SELLER, BUYER]) assert.match(readme, `tieline-bench meter --page eastron-sdm630 ${meter} `)
    const folder = ownFolder(later, 'trade')
    const broker = await startMosquitto({
      conf: ['allow_anonymous true', 'set_tcp_nodelay true'],
      folder: join(folder, 'mosquitto'),
    })
    later(broker.close)
    const desk = await openDesk(later, folder)
    const { done } = desk
    const ledger = desk.start('tieline-ledger dev --port 0 --witness 0')
    const meters = [SELLER, BUYER].map(({ meter }) => desk.meter(` ${meter}`))
    const said = await ledger.says(/witness: .*\n/)
    const [, height, hash] = /trust: height (\d+), hash ([0-9a-f]{64})/.exec(said)!
    const node = /http:\/\/127\.0\.0\.1:\d+/.exec(said)![0]
    const witness = /witness: (http:\/\/127\.0\.0\.1:\d+)/.exec(said)![1]
    const chain = /^(\S+) at http/m.exec(said)![1]

    const files: string[] = []
    for (const [i, { name, serial, sells, buys }] of [SELLER, BUYER].entries()) {
      const file = join(folder, name, 'site.yaml')
      const answers = join(folder, `${name}.yaml`)
      writeFileSync(
        answers,
        `site: ${name}
meter1.how: search
meter1.found: ${await meters[i]!} --id ${serial}
trade: yes
broker.url: mqtt://127.0.0.1:${broker.port}
ledger.chain: ${chain}
ledger.height: ${height}
ledger.hash: ${hash}
ledger.primary: ${node}
ledger.witnesses: ${witness}
grid.add: yes
grid.sells: ${sells}
grid.buys: ${buys}
grid.slot: 20s
page.port: ${await freePort()}
`,
      )
      const next = await done(`tieline init --config ${file} --answers ${answers}`)
      await done(lineOf(next, 'tieline check'))
      await done(lineOf(next, 'tieline key init'))
      const enrol = await done(lineOf(next, 'tieline key show --enrol'))
      await done(lineOf(enrol, 'tieline-ledger enrol'))
      files.push(file)
    }
    const [selling, buying] = files as [string, string]
    const peerOf = async (file: string) =>
      lineOf(await done(`tieline key show --peer --config ${file}`), 'tieline peer')
    await done(`${await peerOf(selling)} --config ${buying}`)
    await done(`${await peerOf(buying)} --config ${selling}`)
    for (const [i, file] of files.entries())
      await desk.start(`tieline run --config ${file}`).says(new RegExp(`${[SELLER, BUYER][i]!.name} runs, page at`))

    // biome-ignore lint/suspicious/noExplicitAny: what is expected of it, the assertions say.
    const json = async (command: string): Promise<any> => JSON.parse((await desk.run(command)).out || '{}')
    const settled = async (file: string) =>
      ((await json(`tieline deals --json --config ${file}`)).deals ?? []).filter(
        (deal: { state: string }) => deal.state === 'settled',
      )
    let [sold, bought] = [await settled(selling), await settled(buying)]
    const pair = () => sold.find(({ id }: { id: string }) => bought.some((deal: { id: string }) => deal.id === id))
    while (pair() === undefined) {
      await new Promise(resolve => setTimeout(resolve, 1_000))
      sold = await settled(selling)
      bought = await settled(buying)
    }
    const deal = pair()
    assert.equal([deal.seller, deal.buyer, deal.model], ['elm', 'oak', 'grid'])
    assert.is(deal.proof.validators, 4)
    // 5 kW for 20 s, counted by a register of 1 Wh at both ends.
    assert.ok(Math.abs(Number(deal.energyWh) - 27) <= 3, `contracted ${deal.energyWh} Wh`)
    const paid = BigInt(deal.paidMicro)
    assert.ok(paid > 0n && paid <= 30n * 300n, `${paid} for at most 30 Wh at no more than 0.30 a kWh`)

    const audit = await json(`tieline-ledger audit ${node} --json`)
    assert.is(audit.ok, true, JSON.stringify(audit.problems))
    assert.is(audit.money.residue, 0)
    assert.ok(audit.deals.settled >= 1)
    assert.is(audit.deals.disputed, 0)
    assert.ok(audit.energy_wh.settled >= 20, `${audit.energy_wh.settled} Wh settled`)

    // The wallets prove the ledger's state a little later, and later deals may be paid by then.
    const balance = async (file: string) =>
      BigInt((await json(`tieline wallet --json --config ${file}`)).balanceMicro ?? GIVEN)
    while ((await balance(selling)) <= GIVEN || (await balance(buying)) >= GIVEN)
      await new Promise(resolve => setTimeout(resolve, 1_000))
  }),
  DEADLINE_MS,
)

test.run()

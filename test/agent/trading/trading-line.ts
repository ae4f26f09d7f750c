/** The seller and the buyer of one line of the simulated street, and nobody else, in virtual time; either may be killed. */
import type { Agent } from '../../../agent/compose.ts'
import { gatherRecords } from '../../../agent/trading/deal-records.ts'
import type { DealRunner } from '../../../agent/trading/deal-runner.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { type Street, streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'

const SEED = 5

function lineStreet(): Street {
  const { sites, lines } = streetOf(5)
  const [line] = lines as [Street['lines'][number]]
  return { sites: sites.filter(({ name }) => name === line.seller || name === line.buyer), lines: [line] }
}

export async function tradingLine({ realSigner = true }: { readonly realSigner?: boolean } = {}) {
  const street = lineStreet()
  const ports = createSimPorts({
    ...{ seed: SEED, sites: street.sites, brokers: 1, realSigner, pace: BRISK, logOf: () => () => {} },
  })
  const producer = createStreetLedger(street, SEED, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, SEED, new Map(), producer, ports))
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name)))
  const [{ seller, buyer }] = street.lines as [Street['lines'][number]]
  const agent = (site: string): Agent => running.agents.get(site)!
  const newest = (site: string): DealRunner | undefined => agent(site).trading.deals()[0]?.runner
  /** Virtual seconds until it holds, half a second at a time. */
  async function until(holds: () => boolean): Promise<void> {
    for (let n = 0; n < 1200 && !holds(); n++) await ports.time.advance(500)
    assert.ok(holds(), 'it has not come about in ten minutes')
  }
  return {
    ...{ ports, running, seller, buyer, agent, newest, until },
    /** The first deal of a site that is settled, with the other side's receipt. */
    async settled(site: string): Promise<DealRunner> {
      const whole = () =>
        agent(site)
          .trading.deals()
          .find(({ runner }) => runner.deal().state === 'settled' && runner.peerReceipt() !== undefined)
      await until(() => whole() !== undefined)
      return whole()!.runner
    },
    /** As by SIGKILL, and started again. */
    async kill(site: string): Promise<Agent> {
      ports.sites.get(site)!.crash('now', () => running.forget(site))
      running.forget(site)
      await ports.time.advance(0)
      return must(await awaited(ports.time, running.start(site)))
    },
    gather: (site: string, runner: DealRunner) =>
      awaited(
        ports.time,
        gatherRecords(runner, {
          ...{ light: agent(site).light, distribution: undefined, receipts: agent(site).receipts },
          timers: ports.time.timers,
        }),
      ),
    stop: () => awaited(ports.time, running.stop()),
  }
}

/** The ledger behind ABCI on a disk of its own, served over a real socket. */
import { createAbciHost } from '../../../agent/validator/abci-host.ts'
import { serveAbci } from '../../../agent/validator/abci-server.ts'
import { openLedgerStore, resumeLedger } from '../../../agent/validator/ledger-store.ts'
import { openSnapshots } from '../../../agent/validator/snapshot-store.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { listenSocket, type SocketAddress } from '../../../drivers/socket/server.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { faultLine, must } from '../../../protocol/result.ts'
import type { Suite } from '../../harness.ts'
import { BEGIN, verifier } from '../../protocol/ledger/parties.ts'
import { type AbciClient, dialAbci } from './abci-client.ts'

export interface AbciBench {
  readonly address: string
  readonly log: string[]
  dial(): Promise<AbciClient>
  /** Resolves when nothing is being written any more. */
  settled(): Promise<void>
  close(): Promise<void>
}

const running = new Set<AbciBench>()

/** A suite that closes after each test whatever the test has left running, because it failed. */
export function closing(
  inner: Suite,
): Pick<Suite, 'run'> & ((name: string, body: () => Promise<void> | void, ms?: number) => void) {
  const add = (name: string, body: () => Promise<void> | void, ms?: number) =>
    inner(
      name,
      async () => {
        try {
          await body()
        } finally {
          for (const bench of running) await bench.close().catch(() => {})
        }
      },
      ms,
    )
  return Object.assign(add, { run: () => inner.run() })
}

const { clock } = createSimTime(BEGIN, async () => {})

export async function startAbci(
  disks: { readonly ledger: Disk; readonly snapshots: Disk },
  { snapshotInterval = 0, at = { kind: 'tcp', host: '127.0.0.1', port: 0 } as SocketAddress, limit = 1 << 22 } = {},
): Promise<AbciBench> {
  const store = must(await openLedgerStore({ disk: disks.ledger, clock }))
  const log: string[] = []
  const host = createAbciHost({
    store,
    snapshots: must(await openSnapshots(disks.snapshots)),
    resumed: must(await resumeLedger(store)),
    verifier,
    log: (level, _, text, fault) => log.push(`${level} ${text}${fault === undefined ? '' : ` ${faultLine(fault)}`}`),
    snapshotInterval,
  })
  const onBug = (error: unknown) => void log.push(`bug ${String((error as Error).stack)}`)
  const onException = (error: Error) => void log.push(`exception ${error.message}`)
  const server = must(
    await listenSocket(at, connection => {
      serveAbci(connection, host, { onException, onBug, limit }).catch(onBug)
    }),
  )
  const clients: AbciClient[] = []
  const bench: AbciBench = {
    address: server.address,
    log,
    async dial() {
      const client = await dialAbci(server.address)
      clients.push(client)
      return client
    },
    settled: () => host.settled(),
    async close() {
      running.delete(bench)
      for (const client of clients) client.close()
      await server.close()
      await host.settled()
      await store.close()
    },
  }
  running.add(bench)
  return bench
}

export function freshDisks(strike?: SimDiskOptions['strike'], lyingSync = false) {
  const random = seededRandom(7)
  const ledger = createSimDisk({ random, lyingSync, ...(strike === undefined ? {} : { strike }) })
  return { ledger, snapshots: createSimDisk({ random }) }
}

export const mounted = (disks: ReturnType<typeof freshDisks>) => ({
  ledger: disks.ledger.mount(),
  snapshots: disks.snapshots.mount(),
})

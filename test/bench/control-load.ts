/** What keeps an agent of bench:control busy beside its contacts: sealed letters over a broker, durable records, a page that is looked at. */

import { createPost } from '../../agent/trading/post.ts'
import { createWeb } from '../../agent/web/server.ts'
import { startBroker } from '../../drivers/bus/broker.ts'
import { connectBus } from '../../drivers/bus/mqtt.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Clock, Timers } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { sealingKey } from '../../protocol/crypto/seal.ts'
import { must } from '../../protocol/result.ts'
import { exampleSnapshot } from '../agent/snapshot-example.ts'
import { signerOf } from './grid-ledgers.ts'

/** A letter and its acknowledgement each: with the neighbour in the same process, four hundred signatures made and checked a second. */
const LETTER_MS = 10
/** As a deal in its busiest second. */
const RECORD_MS = 50
const RECORD_BYTES = 400
/** The page's own pace. */
const SNAPSHOT_MS = 250

export interface Load {
  readonly pageUrl: string
  /** Letters acknowledged, records durable, since it began. */
  done(): { readonly letters: number; readonly records: number }
  stop(): Promise<void>
}

export async function startLoad(journal: Journal, clock: Clock, timers: Timers): Promise<Load> {
  const done = { letters: 0, records: 0 }
  const broker = must(await startBroker())
  const verifier = createVerifier()
  const sites = ['agent', 'neighbour'].map((name, n) => ({
    name,
    signer: signerOf(`control ${name}`),
    sealing: new Uint8Array(32).fill(n + 1),
  }))
  const posts = await Promise.all(
    sites.map(async ({ name, signer, sealing }) => {
      const bus = must(await connectBus({ urls: [broker.url], timers, log: () => {} }))
      const peers = sites
        .filter(other => other.name !== name)
        .map(other => ({
          ...{ name: other.name, publicKey: other.signer.publicKey, address: addressOf(other.signer.publicKey) },
          sealingKey: sealingKey(other.sealing).publicKey,
        }))
      const post = createPost({
        ...{ bus, clock, timers, entropy: systemEntropy, signer, sealingKey: sealing, peers, epoch: 1 },
        ...{ verifier, log: () => {} },
      })
      return { post, bus }
    }),
  )
  const letter = { kind: 'decline', id: new Uint8Array(16), reason: 'bench' } as const
  let sending = 0
  const stops = [
    timers.every(LETTER_MS, () => {
      // A board that cannot keep up sends as fast as it can.
      if (sending >= 8) return
      sending++
      void posts[sending % 2]!.post.send(sites[(sending + 1) % 2]!.name, letter, { reliable: true }).then(sent => {
        sending--
        if (sent.ok) done.letters++
      })
    }),
    timers.every(RECORD_MS, () => {
      void journal.append('bench', new Uint8Array(RECORD_BYTES), { urgent: true }).then(kept => {
        if (kept.ok) done.records++
      })
    }),
  ]
  const web = must(
    await createWeb({
      ...{ serve: serveHttp, host: '127.0.0.1', port: 0, page: [], everyMs: SNAPSHOT_MS, timers },
      snapshot: () => ({ ...exampleSnapshot, time: clock.now() }),
      onBug: error => {
        throw error
      },
    }),
  )
  return {
    pageUrl: web.url,
    done: () => done,
    async stop() {
      for (const stop of stops) stop()
      for (const { post, bus } of posts) {
        post.stop()
        await bus.close()
      }
      await web.close()
      await broker.close()
    },
  }
}

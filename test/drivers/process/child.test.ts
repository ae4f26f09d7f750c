import { fileURLToPath } from 'node:url'
import { type Child, startChild } from '../../../drivers/process/child.ts'
import { assert, suite } from '../../harness.ts'

const TALKER = fileURLToPath(new URL('./talker.ts', import.meta.url))

async function talker(mode: string) {
  const out: string[] = []
  const err: string[] = []
  let ready: () => void
  const up = new Promise<void>(resolve => {
    ready = resolve
  })
  const child = await startChild({
    entry: TALKER,
    args: [mode],
    onOut: line => {
      out.push(line)
      ready()
    },
    onErr: line => err.push(line),
  })
  if (!child.ok) throw new Error(child.fault.code)
  await Promise.race([up, child.value.ended])
  return { child: child.value as Child, out, err }
}

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

const test = suite('child process')

test('a child runs from source as its parent does, each line is heard, and its own exit code is told', async () => {
  const { child, out, err } = await talker('willing')
  child.kill('SIGTERM')
  assert.equal(await child.ended, { code: 3, signal: undefined })
  assert.equal(out, ['{"ready":true}', 'unfinished asked'])
  assert.equal(err, ['mode willing'])
})

test('one killed outright says nothing more, and killing it again does nothing', async () => {
  const { child, out } = await talker('willing')
  child.kill('SIGKILL')
  assert.equal(await child.ended, { code: undefined, signal: 'SIGKILL' })
  assert.equal(out, ['{"ready":true}', 'unfinished'])
  child.kill('SIGKILL')
})

test('a request that a launcher passes on as well is one request; a second one ends the program at once', async () => {
  const { child } = await talker('stubborn')
  let ended = false
  void child.ended.then(() => {
    ended = true
  })
  child.kill('SIGINT')
  child.kill('SIGTERM')
  await sleep(700)
  assert.not.ok(ended, 'the same request, twice')
  // Asked again until it has heard it: on a busy machine it may only now have heard the first.
  while (!ended) {
    child.kill('SIGINT')
    await sleep(700)
  }
  assert.equal(await child.ended, { code: 130, signal: undefined })
}, 60_000)

test.run()

/** A service manager's ear, made of nothing of ours: Python's socket, which hears each datagram that is sent to an address. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { SkipReason } from '../../harness.ts'

export const noPython: SkipReason | undefined =
  spawnSync('/usr/bin/python3', ['-c', 'import socket; socket.AF_UNIX']).status === 0 ? undefined : 'no-python'

const LISTEN = `
import json, socket, sys
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
ear.bind("\\0" + name[1:] if name[0] == "@" else name)
print("listening", flush=True)
while True: print(json.dumps(ear.recv(4096).decode()), flush=True)
`

export interface Listener {
  /** The next datagram that nobody took yet. */
  next(): Promise<string>
  close(): Promise<void>
}

export async function listenTo(address: string): Promise<Listener> {
  const child: ChildProcess = spawn('/usr/bin/python3', ['-c', LISTEN, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the listener has ended')
    return value as string
  }
  await next()
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  return {
    next: async () => JSON.parse(await next()) as string,
    close: () => {
      child.kill()
      return ended
    },
  }
}

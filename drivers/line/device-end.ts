/**
 * The other end of a line: where a meter, a relay board or a simulator of one sits. Bytes leave at once; whoever writes
 * keeps the pace of the wire itself.
 */
export interface DeviceEnd {
  /** Sends towards the gateway. Bytes written while nobody listens there are lost, as on a wire. */
  write(bytes: Uint8Array): void
  /** Hears what the gateway sends, in chunks of any size; a second call replaces the first. */
  onBytes(hear: (chunk: Uint8Array) => void): void
  /** Pulls the plug: the gateway sees its line go down. What is written afterwards is lost. */
  unplug(): void
  /** Safe to call at any time, more than once. */
  close(): Promise<void>
}

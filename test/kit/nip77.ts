/** nostr-tools' negentropy, which its package does not export by name. */
const file = new URL("../../node_modules/nostr-tools/lib/esm/nip77.js", import.meta.url).href;

export interface Negentropy {
  initiate(): string;
  reconcile(message: string, onHave?: (id: string) => void, onNeed?: (id: string) => void): string | null;
}

interface Storage {
  insert(timestamp: number, id: string): void;
  seal(): void;
}

export const { Negentropy, NegentropyStorageVector } = (await import(file)) as {
  Negentropy: new (storage: Storage, frameSizeLimit: number) => Negentropy;
  NegentropyStorageVector: new () => Storage;
};

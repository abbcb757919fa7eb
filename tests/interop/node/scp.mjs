// Verification and Storage SCP. Usage: node scp.mjs PORT DIRECTORY
import { join } from 'node:path';
import dcmjsDimse from 'dcmjs-dimse';

const { Scp, Server, constants, responses } = dcmjsDimse;
const { PresentationContextResult, Status, TransferSyntax } = constants;
const [port, directory] = process.argv.slice(2);
const supported = new Set(Object.values(TransferSyntax));

class StoreScp extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const chosen = context.getTransferSyntaxUids().find((uid) => supported.has(uid));
      if (chosen) {
        context.setResult(PresentationContextResult.Accept, chosen);
      } else {
        context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      }
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    const response = responses.CStoreResponse.fromRequest(request);
    try {
      request.getDataset().toFile(join(directory, `${request.getAffectedSopInstanceUid()}.dcm`));
      response.setStatus(Status.Success);
    } catch (error) {
      console.error(error);
      response.setStatus(Status.ProcessingFailure);
    }
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(StoreScp);
server.on('networkError', (error) => console.error('network error:', error));
server.listen(Number(port));

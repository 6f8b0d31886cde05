//! `VoltAPI`, except `Connect`, which has its own module.

use std::sync::{Arc, Weak};

use volt_api::{
    Status,
    server::{Context, Requests, Responses, Tunnel, unimplemented},
    volt::{
        AuthenticateRequest, AuthenticateResponse, CanAccessResourceRequest,
        CanAccessResourceResponse, CheckCompatibilityRequest, CheckCompatibilityResponse,
        ConnectRequest, ConnectResponse, CopyResourceRequest, CopyResourceResponse,
        DeleteAccessRequest, DeleteAccessResponse, DeleteResourceRequest, DeleteResourceResponse,
        DiscoverServicesRequest, DiscoverServicesResponse, GetAccessRequest, GetAccessResponse,
        GetIdentitiesRequest, GetIdentitiesResponse, GetIdentityRequest, GetIdentityResponse,
        GetOneTimeTokenRequest, GetOneTimeTokenResponse, GetParametersRequest,
        GetParametersResponse, GetResourceAncestorsRequest, GetResourceAncestorsResponse,
        GetResourceDescendantsRequest, GetResourceDescendantsResponse, GetResourceRequest,
        GetResourceResponse, GetResourcesRequest, GetResourcesResponse, GetSessionsRequest,
        GetSessionsResponse, InvokeRequest, InvokeResponse, MoveResourceRequest,
        MoveResourceResponse, RequestAccessRequest, RequestAccessResponse, SaveAccessRequest,
        SaveAccessResponse, SaveDatabaseRequest, SaveDatabaseResponse, SaveIdentityRequest,
        SaveIdentityResponse, SaveResourceRequest, SaveResourceResponse, SaveSessionRequest,
        SaveSessionResponse, SetAccessRequestDecisionRequest, SetAccessRequestDecisionResponse,
        SetServiceStatusRequest, SetServiceStatusResponse, ShutdownRequest, ShutdownResponse,
        SignVerifyRequest, SignVerifyResponse, VoltApi,
    },
};

use super::Handlers;
use crate::{
    actor::Actor,
    logic::{authenticate::Call, services::check_compatibility},
    volt::blocking,
};

impl VoltApi for Handlers {
    /// Open to callers without a session.
    async fn authenticate(
        &self,
        context: Context,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse, Status> {
        // Clients without a session share the permits of one identity.
        let permit = self.volt.permits.operation("").await?;
        let volt = Arc::clone(&self.volt);
        let work = move || {
            let _permit = permit;
            let call = Call {
                token: context.token(),
                connection: context.connection(),
                over_grpc: context.is_over_grpc(),
            };
            volt.authenticate(call, &request)
        };
        Ok(blocking(work).await?)
    }

    /// Open to callers without a session.
    async fn check_compatibility(
        &self,
        _: Context,
        request: CheckCompatibilityRequest,
    ) -> Result<CheckCompatibilityResponse, Status> {
        Ok(CheckCompatibilityResponse::default().with_version(check_compatibility(&request)?))
    }

    async fn connect(
        &self,
        context: Context,
        requests: Requests<ConnectRequest>,
        responses: Responses<ConnectResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| super::connect::run(actor, requests, responses)).await
    }

    /// Open to callers without a session: the target authenticates them by their token.
    async fn invoke(
        &self,
        context: Context,
        requests: Requests<InvokeRequest>,
        responses: Responses<InvokeResponse>,
    ) -> Result<(), Status> {
        // Calls over a websocket are frames already.
        let host = self.volt.host.get().and_then(Weak::upgrade);
        match host.and_then(|host| Tunnel::within(host, &context)) {
            Some(tunnel) => super::invoke::run(tunnel, requests, responses).await,
            None => Err(unimplemented(context.method())),
        }
    }

    async fn can_access_resource(
        &self,
        context: Context,
        request: CanAccessResourceRequest,
    ) -> Result<CanAccessResourceResponse, Status> {
        self.run(&context, move |actor| actor.can_access_resource(&request)).await
    }

    async fn copy_resource(
        &self,
        context: Context,
        request: CopyResourceRequest,
    ) -> Result<CopyResourceResponse, Status> {
        self.run(&context, move |actor| actor.copy_resource(&request)).await?;
        Ok(CopyResourceResponse::default())
    }

    async fn delete_access(
        &self,
        context: Context,
        request: DeleteAccessRequest,
    ) -> Result<DeleteAccessResponse, Status> {
        self.run(&context, move |actor| actor.delete_access(&request)).await?;
        Ok(DeleteAccessResponse::default())
    }

    async fn delete_resource(
        &self,
        context: Context,
        request: DeleteResourceRequest,
    ) -> Result<DeleteResourceResponse, Status> {
        self.run(&context, move |actor| actor.delete_resource(&request)).await?;
        Ok(DeleteResourceResponse::default())
    }

    async fn discover_services(
        &self,
        context: Context,
        request: DiscoverServicesRequest,
    ) -> Result<DiscoverServicesResponse, Status> {
        let resource = self.run(&context, move |actor| actor.discover_services(&request)).await?;
        Ok(DiscoverServicesResponse::default().with_resource(resource))
    }

    async fn get_access(
        &self,
        context: Context,
        request: GetAccessRequest,
    ) -> Result<GetAccessResponse, Status> {
        let access = self.run(&context, move |actor| actor.get_access(&request)).await?;
        Ok(GetAccessResponse::default().with_access(access))
    }

    async fn get_identities(
        &self,
        context: Context,
        request: GetIdentitiesRequest,
    ) -> Result<GetIdentitiesResponse, Status> {
        let identity = self.run(&context, move |actor| actor.get_identities(&request)).await?;
        Ok(GetIdentitiesResponse::default().with_identity(identity))
    }

    async fn get_identity(
        &self,
        context: Context,
        request: GetIdentityRequest,
    ) -> Result<GetIdentityResponse, Status> {
        let identity = self.run(&context, move |actor| actor.get_identity(&request)).await?;
        Ok(GetIdentityResponse::default().with_identity(identity))
    }

    async fn get_one_time_token(
        &self,
        context: Context,
        request: GetOneTimeTokenRequest,
    ) -> Result<GetOneTimeTokenResponse, Status> {
        let token = self.run(&context, move |actor| actor.get_one_time_token(&request)).await?;
        Ok(GetOneTimeTokenResponse::default().with_token(token))
    }

    async fn get_parameters(
        &self,
        context: Context,
        _: GetParametersRequest,
    ) -> Result<GetParametersResponse, Status> {
        let parameters = self.run(&context, Actor::get_parameters).await?;
        Ok(GetParametersResponse::default().with_parameters(parameters))
    }

    async fn get_resource(
        &self,
        context: Context,
        request: GetResourceRequest,
    ) -> Result<GetResourceResponse, Status> {
        let resource = self.run(&context, move |actor| actor.get_resource(&request)).await?;
        Ok(GetResourceResponse::default().with_resource(resource))
    }

    async fn get_resources(
        &self,
        context: Context,
        request: GetResourcesRequest,
    ) -> Result<GetResourcesResponse, Status> {
        let resource = self.run(&context, move |actor| actor.get_resources(&request)).await?;
        Ok(GetResourcesResponse::default().with_resource(resource))
    }

    async fn get_resource_ancestors(
        &self,
        context: Context,
        request: GetResourceAncestorsRequest,
    ) -> Result<GetResourceAncestorsResponse, Status> {
        let ancestor =
            self.run(&context, move |actor| actor.get_resource_ancestors(&request)).await?;
        Ok(GetResourceAncestorsResponse::default().with_ancestor(ancestor))
    }

    async fn get_resource_descendants(
        &self,
        context: Context,
        request: GetResourceDescendantsRequest,
    ) -> Result<GetResourceDescendantsResponse, Status> {
        let descendant =
            self.run(&context, move |actor| actor.get_resource_descendants(&request)).await?;
        Ok(GetResourceDescendantsResponse::default().with_descendant(descendant))
    }

    async fn get_sessions(
        &self,
        context: Context,
        request: GetSessionsRequest,
    ) -> Result<GetSessionsResponse, Status> {
        let session = self.run(&context, move |actor| actor.get_sessions(&request)).await?;
        Ok(GetSessionsResponse::default().with_session(session))
    }

    async fn move_resource(
        &self,
        context: Context,
        request: MoveResourceRequest,
    ) -> Result<MoveResourceResponse, Status> {
        self.run(&context, move |actor| actor.move_resource(&request)).await?;
        Ok(MoveResourceResponse::default())
    }

    async fn request_access(
        &self,
        context: Context,
        request: RequestAccessRequest,
    ) -> Result<RequestAccessResponse, Status> {
        self.run(&context, move |actor| actor.request_access(&request)).await
    }

    async fn save_access(
        &self,
        context: Context,
        request: SaveAccessRequest,
    ) -> Result<SaveAccessResponse, Status> {
        self.run(&context, move |actor| actor.save_access(request)).await?;
        Ok(SaveAccessResponse::default())
    }

    async fn save_database(
        &self,
        context: Context,
        request: SaveDatabaseRequest,
    ) -> Result<SaveDatabaseResponse, Status> {
        let resource = self.run(&context, move |actor| actor.save_database(request)).await?;
        Ok(SaveDatabaseResponse::default().with_resource(resource))
    }

    async fn save_identity(
        &self,
        context: Context,
        request: SaveIdentityRequest,
    ) -> Result<SaveIdentityResponse, Status> {
        let identity = self.run(&context, move |actor| actor.save_identity(request)).await?;
        Ok(SaveIdentityResponse::default().with_identity(identity))
    }

    async fn save_resource(
        &self,
        context: Context,
        request: SaveResourceRequest,
    ) -> Result<SaveResourceResponse, Status> {
        let resource = self.run(&context, move |actor| actor.save_resource(request)).await?;
        Ok(SaveResourceResponse::default().with_resource(resource))
    }

    async fn save_session(
        &self,
        context: Context,
        request: SaveSessionRequest,
    ) -> Result<SaveSessionResponse, Status> {
        let session = self.run(&context, move |actor| actor.save_session(&request)).await?;
        Ok(SaveSessionResponse::default().with_session(session))
    }

    async fn set_access_request_decision(
        &self,
        context: Context,
        request: SetAccessRequestDecisionRequest,
    ) -> Result<SetAccessRequestDecisionResponse, Status> {
        self.run(&context, move |actor| actor.set_access_request_decision(&request)).await?;
        Ok(SetAccessRequestDecisionResponse::default())
    }

    async fn set_service_status(
        &self,
        context: Context,
        request: SetServiceStatusRequest,
    ) -> Result<SetServiceStatusResponse, Status> {
        let resource = self.run(&context, move |actor| actor.set_service_status(&request)).await?;
        Ok(SetServiceStatusResponse::default().with_resource(resource))
    }

    async fn shutdown(
        &self,
        context: Context,
        _: ShutdownRequest,
    ) -> Result<ShutdownResponse, Status> {
        self.run(&context, Actor::shutdown).await?;
        Ok(ShutdownResponse::default())
    }

    async fn sign_verify(
        &self,
        context: Context,
        request: SignVerifyRequest,
    ) -> Result<SignVerifyResponse, Status> {
        self.run(&context, move |actor| actor.sign_verify(&request)).await
    }
}

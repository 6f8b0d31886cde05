//! Short calls.

use anyhow::{Result, ensure};
use volt_api::{
    Client,
    volt::{ConnectRequest, GetResourceRequest},
};
use volt_bench_measure::{Load, Measured, closed_loop};

/// Calls `GetResource` and checks that the answer contains the request.
pub async fn unary(load: &Load, client: &Client) -> Result<Measured> {
    let (volt, size) = (client.volt(), load.size);
    let request = GetResourceRequest::default().with_resource_id(load.text());
    let call = move || {
        let (volt, request) = (volt.clone(), request.clone());
        async move {
            let answer = volt.get_resource(request).await?;
            let answered = answer.resource.map_or(0, |resource| resource.id.len());
            ensure!(answered == size, "{answered} bytes were returned");
            Ok(())
        }
    };
    closed_loop(load, call).await
}

/// Opens streaming calls and closes them immediately.
pub async fn open_close(load: &Load, client: &Client) -> Result<Measured> {
    let volt = client.volt();
    let call = move || {
        let volt = volt.clone();
        async move {
            let mut call = volt.connect().await?;
            call.send(ConnectRequest::default()).await?;
            call.half_close();
            ensure!(call.message().await?.is_none(), "a message came");
            Ok(())
        }
    };
    closed_loop(load, call).await
}
